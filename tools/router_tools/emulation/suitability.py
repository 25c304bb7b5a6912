"""Check of whether a world can be emulated."""

import re

from router_tools.errors import ToolError
from router_tools.simulator.service_law import TableServiceLaw
from router_tools.simulator.world import World, WorldVariant

_NAME = re.compile(r"[\w-][\w.-]*")
"""Names that are valid as a folder and in a comma-separated list."""


def check_world(world: World) -> None:
    """Check that emulated devices support all variants of a world.

    Raises:
        ToolError: a variant has a feature that cannot be emulated.
    """
    for variant in world.variants:
        for feature in _unsupported_features(variant):
            raise ToolError(
                f"world '{world.name}', variant '{variant.name}': cannot emulate {feature}: "
                "choose another world"
            )


def _unsupported_features(variant: WorldVariant) -> list[str]:
    """Return the features of a variant that cannot be emulated."""
    features = {
        "a name that is not a valid model name": _NAME.fullmatch(variant.name) is None,
        "service times by sequence length": isinstance(variant.law, TableServiceLaw)
        and len(variant.law.rows) > 1,
        "a shared processor": variant.processor is not None,
        "hidden load": variant.hidden_load > 0.0,
        "a concurrency that the router does not know": variant.told_concurrency != variant.concurrency,
    }
    return [feature for feature, present in features.items() if present]
