"""How a router stands, in words that JSON has, for whoever asks."""

from dataclasses import asdict
from typing import Any

from router_backend.core.router import ModelRouter


def report(router: ModelRouter) -> dict[str, Any]:
    """The devices of a router, what they can do and how they stand; and what its experiments found."""
    return {
        "backends": {device.value: asdict(state) for device, state in router.backends().items()},
        "experiments": {
            experiment_id: {name: asdict(on_model) for name, on_model in found.models.items()}
            for experiment_id, found in router.experiments.reports().items()
        },
    }
