"""Which worlds the real server can be given emulated devices of."""

import re

from router_tools.errors import ToolError
from router_tools.simulator.service_law import TableServiceLaw
from router_tools.simulator.world import World, WorldVariant

_NAME = re.compile(r"[\w-][\w.-]*")
"""What can be a folder, and stand between commas."""


def check_world(world: World) -> None:
    """Refuse a world with variants that emulated devices cannot be like.

    Raises:
        ToolError: the first such variant, and what it has.
    """
    for variant in world.variants:
        for trait in _traits(variant):
            raise ToolError(
                f"world '{world.name}': expected variants that emulated devices can be like, but "
                f"'{variant.name}' has {trait}: name another world"
            )


def _traits(variant: WorldVariant) -> list[str]:
    """What the variant has that an emulated device has not."""
    traits = {
        "a name that no model can have": _NAME.fullmatch(variant.name) is None,
        "service times by sequence length": isinstance(variant.law, TableServiceLaw)
        and len(variant.law.rows) > 1,
        "a processor that others share": variant.processor is not None,
        "traffic that does not come through the router": variant.hidden_load > 0.0,
        "more instances than the router is told of": variant.told_concurrency != variant.concurrency,
    }
    return [trait for trait, present in traits.items() if present]
