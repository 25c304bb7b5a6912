"""The state of a router as JSON types."""

from dataclasses import asdict
from typing import Any

from router_backend.core.router import ModelRouter


def report(router: ModelRouter) -> dict[str, Any]:
    """Return the capabilities and state of a router's devices, and the results of its experiments so far."""
    return {
        "backends": {device.value: asdict(state) for device, state in router.backends().items()},
        "experiments": {
            experiment_id: {name: asdict(on_model) for name, on_model in found.models.items()}
            for experiment_id, found in router.experiments.reports().items()
        },
    }
