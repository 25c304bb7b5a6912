"""Creation of the jobs of a run from the drawn requests."""

from collections.abc import Iterable
from functools import cache, partial

import numpy as np

from router_backend.core.records.request import RoutingContext
from router_tools.simulator.array import Array
from router_tools.simulator.draw import Requests
from router_tools.simulator.job import Job
from router_tools.simulator.simulation import RoutedJob, Simulation
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World, WorldVariant


def hidden_jobs(variant: WorldVariant, requests: Requests) -> list[Job]:
    """Return the jobs of requests that reach a variant without the router."""
    return [
        Job(*size, work) for size, work in zip(_sizes(requests), work_s([variant], requests), strict=True)
    ]


def routed_jobs(
    world: World, workload: Workload, requests: Requests, simulation: Simulation
) -> list[RoutedJob]:
    """Return the jobs of requests that the router routes."""
    context = cache(partial(_context, workload))
    rows = zip(
        deadlines_ms(world, workload, requests).tolist(),
        _sizes(requests),
        work_s(world.variants, requests),
        _luck(requests),
        strict=True,
    )
    return [
        RoutedJob(simulation, index, context(deadline_ms, *size), deadline_ms, *size, work, luck)
        for index, (deadline_ms, size, work, luck) in enumerate(rows)
    ]


def work_s(variants: Iterable[WorldVariant], requests: Requests) -> list[dict[str, float]]:
    """Return the true service time of each request by variant, if served alone and without events."""
    sizes = _sizes(requests)
    columns = {}
    for variant in variants:
        mean_ms = cache(variant.law.mean_ms)
        noise = requests.noise[variant.name].tolist()
        columns[variant.name] = [
            mean_ms(*size) * factor / 1e3 for size, factor in zip(sizes, noise, strict=True)
        ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def best_variants(world: World, requests: Requests) -> Array:
    """Return for each request the index of the variant with the lowest mean service time, without events."""
    laws = [cache(variant.law.mean_ms) for variant in world.variants]
    means_ms = np.array([[law(*size) for law in laws] for size in _sizes(requests)])
    best: Array = means_ms.argmin(axis=1)
    return best


def _luck(requests: Requests) -> list[dict[str, float]]:
    if not requests.luck:
        return [{}] * len(requests.arrival_s)
    rows = zip(*(numbers.tolist() for numbers in requests.luck.values()), strict=True)
    return [dict(zip(requests.luck, row, strict=True)) for row in rows]


def deadlines_ms(world: World, workload: Workload, requests: Requests) -> Array:
    """Return the deadline of each request in ms from its arrival."""
    deadline_ms = cache(partial(_deadline_ms, world, workload))
    return np.array([deadline_ms(*size) for size in _sizes(requests)])


def _deadline_ms(world: World, workload: Workload, batch_size: int, sequence_length: int) -> float:
    rule = workload.deadline
    if rule.fixed_ms is not None:
        return rule.fixed_ms
    best_ms = min(variant.law.mean_ms(batch_size, sequence_length) for variant in world.variants)
    return rule.times_best_service * best_ms


def _context(workload: Workload, deadline_ms: float, batch_size: int, sequence_length: int) -> RoutingContext:
    """Return the context of a request; cached, so equal requests share one object."""
    return RoutingContext(
        batch_size=batch_size,
        elements=batch_size * sequence_length,
        max_latency_ms=deadline_ms if workload.told_deadline else None,
    )


def _sizes(requests: Requests) -> list[tuple[int, int]]:
    return list(zip(requests.batch_size.tolist(), requests.sequence_length.tolist(), strict=True))
