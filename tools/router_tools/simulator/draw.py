"""All random quantities of the run of one seed, drawn in advance and shared by all policies."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from router_backend.core.records.request import OptimizationGoal
from router_tools.simulator.array import Array
from router_tools.simulator.arrivals import bursty_s, poisson_s
from router_tools.simulator.capacity import arrivals_per_s, variant_capacity_per_s
from router_tools.simulator.pace import Slowdown
from router_tools.simulator.randomness import stream
from router_tools.simulator.workload import Bursty, Recorded, Workload
from router_tools.simulator.world import World, WorldVariant


@dataclass(frozen=True)
class Requests:
    """Requests in order of arrival, as arrays of equal length.

    Args:
        arrival_s: arrival times in seconds from the start of the run.
        batch_size: numbers of items.
        sequence_length: sequence lengths of the items.
        noise: by variant, random factors on the mean service time.
        luck: by variant that fails requests, a uniform number; a request fails if it is below the share.
        deadline_ms: recorded deadlines, NaN for none; `None` if the workload's rule sets them.
        goals: the objective that each request names; `None` if none names one.
        priority: the priority of each request; `None` if all have 0.
    """

    arrival_s: Array
    batch_size: Array
    sequence_length: Array
    noise: dict[str, Array]
    luck: dict[str, Array] = field(default_factory=dict)
    deadline_ms: Array | None = None
    goals: Sequence[OptimizationGoal | None] | None = None
    priority: Array | None = None


@dataclass(frozen=True)
class Draw:
    """All random quantities of a run.

    Args:
        requests: the requests to the router.
        hidden: by variant, the requests that bypass the router.
        stalls: by variant, its stalls.
        length_s: the length of the run: the arrival time of the last request.
    """

    requests: Requests
    hidden: dict[str, Requests]
    stalls: dict[str, list[Slowdown]]
    length_s: float


def draw(world: World, workload: Workload, seed: int) -> Draw:
    """Draw all random quantities of the run of a seed."""
    requests = _with_particulars(world, workload, _requests(world, workload, seed), seed)
    length_s = float(requests.arrival_s[-1])
    return Draw(
        requests=requests,
        hidden={
            variant.name: _hidden(variant, workload, length_s, seed)
            for variant in world.variants
            if variant.hidden_load > 0.0
        },
        stalls=_stalls(world, length_s, seed),
        length_s=length_s,
    )


def _requests(world: World, workload: Workload, seed: int) -> Requests:
    arrivals = workload.arrivals
    per_s = arrivals_per_s(world, workload)
    if isinstance(arrivals, Recorded):
        return _repeat(world, arrivals, workload.requests, per_s, seed)
    rng = stream(seed, "arrivals")
    if isinstance(arrivals, Bursty):
        arrival_s = bursty_s(rng, arrivals, per_s, workload.requests)
    else:
        arrival_s = poisson_s(rng, per_s, workload.requests)
    return _sized(world.variants, workload, arrival_s, seed, "requests")


def _with_particulars(world: World, workload: Workload, requests: Requests, seed: int) -> Requests:
    count = len(requests.arrival_s)
    content = lognormal(workload.content_sigma, count, stream(seed, "content"))
    return replace(
        requests,
        noise={name: factors * content for name, factors in requests.noise.items()},
        luck={
            name: stream(seed, "luck", name).random(count)
            for name in sorted({failures.variant for failures in world.failures})
        },
        priority=_priorities(workload, count, seed),
    )


def _priorities(workload: Workload, count: int, seed: int) -> Array | None:
    if set(workload.priorities) == {0}:
        return None
    priorities, weights = list(workload.priorities), list(workload.priorities.values())
    return stream(seed, "priorities").choice(priorities, count, p=weights)


def _repeat(world: World, recorded: Recorded, count: int, per_s: float, seed: int) -> Requests:
    """Return the first requests of a trace, scaled in time to the arrival rate."""
    arrival_s = recorded.arrival_s[:count]
    return Requests(
        arrival_s=arrival_s * (count / per_s / arrival_s[-1]),
        batch_size=recorded.batch_size[:count],
        sequence_length=recorded.sequence_length[:count],
        noise=_noise(world.variants, count, seed, "requests"),
        deadline_ms=recorded.deadline_ms if recorded.deadline_ms is None else recorded.deadline_ms[:count],
        goals=recorded.goals,
    )


def _sized(
    variants: tuple[WorldVariant, ...], workload: Workload, arrival_s: Array, seed: int, kind: str
) -> Requests:
    """Return requests at the given times, with random sizes."""
    count = len(arrival_s)
    upper_edges = np.cumsum(list(workload.sizes.values()))[:-1]
    chosen = np.searchsorted(upper_edges, stream(seed, kind, "sizes").random(count), side="right")
    sizes = np.array(list(workload.sizes))[chosen]
    return Requests(arrival_s, sizes[:, 0], sizes[:, 1], _noise(variants, count, seed, kind))


def _noise(variants: tuple[WorldVariant, ...], count: int, seed: int, kind: str) -> dict[str, Array]:
    return {variant.name: noise(variant, count, stream(seed, kind, variant.name)) for variant in variants}


def noise(variant: WorldVariant, count: int, rng: np.random.Generator) -> Array:
    """Return random factors on a variant's service times: log-normal ones, or some of the measured ones."""
    if variant.measured_noise:
        return rng.choice(np.array(variant.measured_noise), count)
    factors = lognormal(variant.noise_sigma, count, rng)
    if variant.slow_share:
        factors[rng.random(count) < variant.slow_share] *= variant.slow_factor
    return factors


def lognormal(sigma: float, count: int, rng: np.random.Generator) -> Array:
    """Return log-normal factors of mean 1; `sigma` is the standard deviation of their logarithm."""
    factors: Array = np.exp(rng.normal(-0.5 * sigma * sigma, sigma, count))
    return factors


def _hidden(variant: WorldVariant, workload: Workload, length_s: float, seed: int) -> Requests:
    per_s = variant.hidden_load * variant_capacity_per_s(variant, workload)
    rng = stream(seed, "hidden arrivals", variant.name)
    count = rng.poisson(per_s * length_s)
    arrival_s = np.sort(rng.uniform(0.0, length_s, count))
    return _sized((variant,), workload, arrival_s, seed, f"hidden {variant.name}")


def _stalls(world: World, length_s: float, seed: int) -> dict[str, list[Slowdown]]:
    stalls: dict[str, list[Slowdown]] = {}
    for entry in world.stalls:
        rng = stream(seed, "stalls", entry.variant)
        count = rng.poisson(length_s / entry.every_s)
        starts_s = np.sort(rng.uniform(0.0, length_s, count))
        lengths_s = rng.exponential(entry.mean_s, count)
        stalls.setdefault(entry.variant, []).extend(
            Slowdown(start_s, start_s + stall_s, float("inf"))
            for start_s, stall_s in zip(starts_s.tolist(), lengths_s.tolist(), strict=True)
        )
    return stalls
