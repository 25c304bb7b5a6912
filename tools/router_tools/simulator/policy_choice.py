"""The policies that can be compared, and how to create them for a run."""

from collections.abc import Callable, Iterable, Mapping

from router_backend.baselines.offline_profile import OfflineProfilePolicy
from router_backend.baselines.static import StaticPolicy
from router_backend.core.policies.base import Policy
from router_backend.core.policies.registry import POLICIES, create_policy
from router_backend.errors import ConfigurationError
from router_tools.errors import ToolError
from router_tools.simulator.capacity import variant_capacity_per_s
from router_tools.simulator.exact_profile import exact_laws
from router_tools.simulator.oracle import Oracle, RefusingOracle, ShortestExpectedDelay
from router_tools.simulator.stations.base import Station
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World

ORACLES: tuple[str, ...] = (Oracle.name, RefusingOracle.name, ShortestExpectedDelay.name)


def all_policies(world: World, workload: Workload) -> list[str]:
    """Return every policy of the router's registry, with the variant of highest capacity for `static`."""
    largest = max(world.variants, key=lambda variant: variant_capacity_per_s(variant, workload))
    return [f"{name}:{largest.name}" if name == StaticPolicy.name else name for name in POLICIES]


def resolve_static(name: str, policies: Iterable[str]) -> str:
    """Return the name from `all_policies` for `static` without a variant, and other names unchanged."""
    return (
        next(each for each in policies if each.startswith(f"{name}:")) if name == StaticPolicy.name else name
    )


def check_policies(names: Iterable[str], world: World) -> None:
    """Check that policies can be created for a world.

    Raises:
        ToolError: the registry does not have one, or it names a variant that the world does not have.
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
    """Return a factory for `set_routing_policy`.

    Args:
        name: a name of the router's registry, or of ORACLES.
        world: gives `offline_profile` its profile, which is exact here: the true mean by size.
        workload: the sizes in the profile.
        reference_length: the sequence length of the first request, to which sizes are relative.
        stations: what the oracles see.
    """
    if name == ShortestExpectedDelay.name:
        laws = {variant.name: variant.law.mean_ms for variant in world.variants}
        return lambda: ShortestExpectedDelay(stations, laws)
    if name in ORACLES:
        return lambda: RefusingOracle(stations) if name == RefusingOracle.name else Oracle(stations)
    if name == OfflineProfilePolicy.name:
        profile = exact_laws(world, workload, reference_length)
        return lambda: OfflineProfilePolicy(profile)
    return lambda: create_policy(name)
