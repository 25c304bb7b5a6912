"""A variant whose number of instances is stated as one, and is really another one that changes."""

import heapq
import math
import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.state import VariantState
from tests.unit.core.candidates import request_of

MEAN_SERVICE_S = 0.01091
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
Law = Callable[[float], float]


def served(
    instances: Law, arrivals_per_s: Law, seed: int, *, noise: float = 0.1, slowdown: Law = lambda _: 1.0
) -> Iterator[tuple[float, int, float]]:
    """Serve 40 s, first come first served, by instances that depend on the time; the router is told of one.

    Yields the time of each answer, the assumed concurrency, and |ln(latency / predicted latency)|.
    """
    rng, state = random.Random(seed), VariantState(Variant("v", Device.GPU), coverage=0.9)
    number, busy, now_s = count(), 0, 0.0
    queue: deque[tuple[float, float, float, object, float]] = deque()
    events: list[tuple[float, int, tuple | None]] = [(0.0, next(number), None)]
    while now_s < 40.0:
        now_s, _, job = heapq.heappop(events)
        if job is None:
            size = rng.choice(SIZES)
            service_ms = (2.3 + 0.82 * size) * slowdown(now_s) * rng.lognormvariate(-(noise**2) / 2, noise)
            expected_ms = state.predict(size, request_of(now_s=now_s)).latency_ms
            queue.append((size, service_ms, now_s, state.dispatch(now_s), expected_ms))
            next_s = now_s + rng.expovariate(arrivals_per_s(now_s))
            heapq.heappush(events, (next_s, next(number), None))
        else:
            busy -= 1
            size, _, sent_s, place, expected_ms = job
            latency_ms = (now_s - sent_s) * 1e3
            learned_ms = state.answered(place, latency_ms, now_s)
            if learned_ms is not None:
                state.profile.learn(size, learned_ms, expected_ms, latency_ms, now_s)
            if expected_ms:
                yield now_s, state.load.concurrency, abs(math.log(latency_ms / expected_ms))
        while queue and busy < instances(now_s):
            job = queue.popleft()
            busy += 1
            heapq.heappush(events, (now_s + job[1] / 1e3, next(number), job))


def at_load(share: float, instances: Law) -> Law:
    return lambda now_s: share * instances(now_s) / MEAN_SERVICE_S


@pytest.mark.parametrize("left", [1, 2])
@pytest.mark.parametrize("load", [0.4, 0.7, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_a_variant_that_goes_from_four_instances_to_fewer_is_assumed_to_have_these(left, load, seed):
    def instances(now_s: float) -> int:
        return 4 if now_s < 15.0 else left

    answers = list(served(instances, at_load(load, instances), seed))
    before = [concurrency for now_s, concurrency, _ in answers if 10.0 < now_s < 15.0]
    after = [(concurrency, error) for now_s, concurrency, error in answers if now_s > 35.0]
    assert statistics.mode(before) == 4
    assert {concurrency for concurrency, _ in after} == {left}
    assert statistics.median(error for _, error in after) < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_one_that_gets_instances_back_is_assumed_to_have_them(seed):
    def instances(now_s: float) -> int:
        return 1 if 10.0 < now_s < 25.0 else 4

    answers = list(served(instances, at_load(0.7, instances), seed))
    assert [next(c for now_s, c, _ in reversed(answers) if now_s < end) for end in (10.0, 25.0, 40.0)] == [
        4,
        1,
        4,
    ]


@pytest.mark.parametrize(
    "world",
    [{"noise": 0.4}, {"slowdown": lambda now_s: 2.5 if 15.0 < now_s < 25.0 else 1.0}],
    ids=["noise", "throttled"],
)
@pytest.mark.parametrize("seed", range(3))
def test_one_that_keeps_its_instances_is_not_assumed_to_have_fewer(world, seed):
    answers = list(served(lambda _: 4, at_load(0.38, lambda _: 4), seed, **world))
    found = [concurrency for _, concurrency, _ in answers]
    assert found == sorted(found)
    assert found[-1] == 4
