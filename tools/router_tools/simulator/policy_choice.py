"""The policies that can be compared, and how each is made for a run."""

from collections.abc import Callable, Iterable, Mapping

from router_backend.baselines.offline_profile import OfflineProfilePolicy
from router_backend.baselines.static import StaticPolicy
from router_backend.core.policies.base import Policy
from router_backend.core.policies.registry import POLICIES, create_policy
from router_backend.errors import ConfigurationError
from router_tools.errors import ToolError
from router_tools.simulator.capacity import variant_capacity_per_s
from router_tools.simulator.exact_profile import exact_laws
from router_tools.simulator.oracle import Oracle, RefusingOracle
from router_tools.simulator.stations.base import Station
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World

ORACLES: dict[str, type[Oracle]] = {oracle.name: oracle for oracle in (Oracle, RefusingOracle)}


def all_policies(world: World, workload: Workload) -> list[str]:
    """Every policy of the router's registry; of `static`, the variant that can serve most."""
    largest = max(world.variants, key=lambda variant: variant_capacity_per_s(variant, workload))
    return [f"{name}:{largest.name}" if name == StaticPolicy.name else name for name in POLICIES]


def resolve_static(name: str, everyone: Iterable[str]) -> str:
    """`static` without a variant means the one of `all_policies`; another name is left as it is."""
    return (
        next(each for each in everyone if each.startswith(f"{name}:")) if name == StaticPolicy.name else name
    )


def check_policies(names: Iterable[str], world: World) -> None:
    """Refuse a policy that cannot be made for a world.

    Raises:
        ToolError: the registry does not have it, or it names a variant that the world does not have.
    """
    variants = [variant.name for variant in world.variants]
    for name in names:
        kind, _, argument = name.partition(":")
        if kind == StaticPolicy.name and argument and argument not in variants:
            raise ToolError(
                f"policy '{name}': expected one of the variants of '{world.name}' "
                f"({', '.join(variants)}), found '{argument}'"
            )
        if name not in ORACLES:
            try:
                create_policy(name)
            except ConfigurationError as error:
                raise ToolError(str(error)) from error


def policy_maker(
    name: str, world: World, workload: Workload, reference_length: int, stations: Mapping[str, Station]
) -> Callable[[], Policy]:
    """What `set_routing_policy` takes.

    Args:
        name: a name of the router's registry, or of ORACLES.
        world: for the profile of `offline_profile`, which here is exact: the true mean by size.
        workload: the sizes that the profile has.
        reference_length: the sequence length of the first request, which is what sizes are relative to.
        stations: what the clairvoyant sees.
    """
    if name in ORACLES:
        return lambda: ORACLES[name](stations)
    if name == OfflineProfilePolicy.name:
        laws = exact_laws(world, workload, reference_length)
        return lambda: OfflineProfilePolicy(laws)
    return lambda: create_policy(name)
