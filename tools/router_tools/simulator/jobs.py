"""Creation of the jobs of a run from the drawn requests."""

import math
from collections.abc import Iterable
from functools import cache, partial
from itertools import repeat

import numpy as np

from router_backend.core.records.request import OptimizationGoal, RoutingContext
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
    context = cache(_context)
    deadline_ms = deadlines_ms(world, workload, requests).tolist()
    rows = zip(
        deadline_ms,
        _told_ms(workload, requests, deadline_ms),
        requests.goals or repeat(None),
        repeat(0) if requests.priority is None else requests.priority.tolist(),
        zip(_sizes(requests), work_s(world.variants, requests), _luck(requests), strict=True),
        strict=False,  # without goals or priorities, these have no end
    )
    return [
        RoutedJob(
            simulation, index, context(told_ms, goal, priority, *size), late_after_ms, *size, work, luck
        )
        for index, (late_after_ms, told_ms, goal, priority, (size, work, luck)) in enumerate(rows)
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
    """Return the deadline of each request in ms from its arrival: the recorded one, else by the rule."""
    by_rule = cache(partial(_deadline_ms, world, workload))
    deadline_ms = np.array([by_rule(*size) for size in _sizes(requests)])
    recorded_ms = requests.deadline_ms
    return deadline_ms if recorded_ms is None else np.where(np.isnan(recorded_ms), deadline_ms, recorded_ms)


def _told_ms(workload: Workload, requests: Requests, deadline_ms: list[float]) -> list[float | None]:
    """Return the deadline that each request carries; `None` if it has none."""
    if workload.told_deadline:
        return list(deadline_ms)
    if requests.deadline_ms is None:
        return [None] * len(deadline_ms)
    return [None if math.isnan(recorded_ms) else recorded_ms for recorded_ms in requests.deadline_ms.tolist()]


def _deadline_ms(world: World, workload: Workload, batch_size: int, sequence_length: int) -> float:
    rule = workload.deadline
    if rule.fixed_ms is not None:
        return rule.fixed_ms
    best_ms = min(variant.law.mean_ms(batch_size, sequence_length) for variant in world.variants)
    return rule.times_best_service * best_ms


def _context(
    deadline_ms: float | None,
    goal: OptimizationGoal | None,
    priority: int,
    batch_size: int,
    sequence_length: int,
) -> RoutingContext:
    """Return the context of a request; cached, so equal requests share one object."""
    return RoutingContext(
        batch_size=batch_size,
        elements=batch_size * sequence_length,
        max_latency_ms=deadline_ms,
        optimization_goal=goal,
        priority=priority,
    )


def _sizes(requests: Requests) -> list[tuple[int, int]]:
    return list(zip(requests.batch_size.tolist(), requests.sequence_length.tolist(), strict=True))
