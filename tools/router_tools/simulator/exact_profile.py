"""Exact profiles for the `offline_profile` policy."""

from collections.abc import Callable
from functools import partial

from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World, WorldVariant

Law = Callable[[float], float]
"""Service time in ms by size x; 0 if unknown."""


def exact_laws(world: World, workload: Workload, reference_length: int) -> dict[str, Law]:
    """Return the true mean service time of the workload's sizes on each variant, without events.

    Args:
        world: the world.
        workload: the workload; its sizes with the same number of elements are averaged.
        reference_length: the sequence length of the first request, to which sizes are relative.
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
