"""How a router stands, in words that JSON has, for whoever asks."""

from dataclasses import asdict
from typing import Any

from router_backend.core.experiments.report import ExperimentReport
from router_backend.core.router import ModelRouter


def report(router: ModelRouter) -> dict[str, Any]:
    """The devices of a router, what they can do and how they stand; and what its experiments found."""
    return {
        "backends": {device.value: asdict(state) for device, state in router.backends().items()},
        "experiments": {
            experiment.experiment_id: _of_experiment(router.get_experiment_report(experiment.experiment_id))
            for experiment in router.experiments()
        },
    }


def _of_experiment(found: ExperimentReport) -> dict[str, Any]:
    return {name: asdict(on_model) for name, on_model in found.models.items()}
