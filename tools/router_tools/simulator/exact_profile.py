"""What a perfect profiler would tell the `offline_profile` policy."""

from collections.abc import Callable
from functools import partial

from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World, WorldVariant

Law = Callable[[float], float]
"""Service time in ms by size x; 0: unknown."""


def exact_laws(world: World, workload: Workload, reference_length: int) -> dict[str, Law]:
    """By variant, the true mean service time of the workload's sizes, undisturbed.

    Args:
        world: whose variants.
        workload: the sizes that are known; those with the same number of elements are averaged.
        reference_length: the sequence length of the first request, which is what sizes are relative to.
    """
    return {
        variant.name: partial(_look_up, _means(variant, workload, reference_length))
        for variant in world.variants
    }


def _means(variant: WorldVariant, workload: Workload, reference_length: int) -> dict[float, float]:
    totals: dict[float, float] = {}
    shares: dict[float, float] = {}
    for (batch_size, length), share in workload.sizes.items():
        size = batch_size * length / reference_length
        totals[size] = totals.get(size, 0.0) + share * variant.law.mean_ms(batch_size, length)
        shares[size] = shares.get(size, 0.0) + share
    return {size: total / shares[size] for size, total in totals.items()}


def _look_up(means: dict[float, float], size: float) -> float:
    return means.get(size, 0.0)
