"""Cost of a decision and of learning from its result: `pytest tests/benchmarks/test_decision.py`.

The router has measured every variant, as after warm-up, and the variants have requests in flight. The batch
size changes with each request, since predictions for a repeated size are cached.
"""

import random
import time
import tracemalloc
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest

from router_backend.config.load import RouterSetup
from router_backend.config.repository import Signature, TensorSpec
from router_backend.config.schema import RouterParameters, VariantEntry
from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.runtime.expected_answer import ExpectedAnswer

SIZES = (1, 2, 4, 8, 16, 32)
NEXT_SIZE = cycle(SIZES)
ELEMENTS = 150_528
EXPERIMENT = Experiment("v2", "latency", "latency", 0.5)


def request(**more: Any) -> RoutingContext:
    """Return the next request, with another batch size than the last."""
    batch_size = next(NEXT_SIZE)
    return RoutingContext(batch_size, batch_size * ELEMENTS, **more)


EVERY_ANSWER = 0.01
"""Clock step in seconds at which every answer is learned from; the clock is read four times per request."""
ONE_IN_TEN = 0.0001
"""Clock step in seconds that corresponds to 2500 requests per second."""


def steps(step_s: float) -> Callable[[], float]:
    """Return a clock that advances by `step_s` whenever it is read."""
    return count(0.0, step_s).__next__


def law_ms(variant: str, batch_size: int) -> float:
    """Return the mean latency of a variant."""
    return (2.0 + batch_size) * (1.0 + int(variant[-1]))


def warm_router(
    variants: int, policy: str = "latency", clock: Callable[[], float] = time.monotonic
) -> ModelRouter:
    router = ModelRouter(ModelSettings(policy=policy), clock=clock, rng=random.Random(0))
    router.register_model("model", variants=described(variants))
    rng = random.Random(0)
    for _ in range(50):
        for number in range(variants):
            context = request(allowed_variants=frozenset({f"variant_{number}"}))
            decision = router.route_request("model", context)
            latency_ms = law_ms(decision.variant, context.batch_size)
            router.record_execution(decision, latency_ms=latency_ms * rng.lognormvariate(0.0, 0.05))
    return router


def measure_record(benchmark: Any, router: ModelRouter) -> None:
    """Measure the time to record an answer whose latency is close to the prediction."""
    rng = random.Random(0)
    held: list[tuple[RoutingDecision, float]] = []

    def route() -> None:
        context = request()
        decision = router.route_request("model", context)
        held.append((decision, law_ms(decision.variant, context.batch_size) * rng.lognormvariate(0.0, 0.05)))

    def record() -> None:
        decision, latency_ms = held.pop()
        router.record_execution(decision, latency_ms=latency_ms)

    benchmark.pedantic(record, setup=route, rounds=20_000, iterations=1, warmup_rounds=500)


def described(variants: int) -> list[Variant]:
    devices = list(Device)
    return [
        Variant(f"variant_{number}", devices[number % len(devices)], 1 + number % 2, max_batch_size=32)
        for number in range(variants)
    ]


@pytest.mark.parametrize("deadline", [None, 100.0], ids=["", "deadline"])
@pytest.mark.parametrize("variants", [2, 4, 8])
def test_route_request(benchmark, variants, deadline):
    """Time of filters, predictions, costs, exploration, propensity, candidates and the place in flight."""
    router = warm_router(variants)
    held: list[RoutingDecision] = []

    def release() -> tuple[tuple[RoutingContext], dict[str, object]]:
        while held:
            router.record_execution(held.pop())
        return (request(max_latency_ms=deadline),), {}

    def route(context: RoutingContext) -> None:
        held.append(router.route_request("model", context))

    benchmark.pedantic(route, setup=release, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("variants", [4])
def test_route_request_with_an_experiment(benchmark, variants):
    """Time of hashing the unit into an arm, and of the decision by its policy."""
    router = warm_router(variants)
    router.experiments.set([EXPERIMENT])
    held: list[RoutingDecision] = []

    def release() -> tuple[tuple[RoutingContext], dict[str, object]]:
        while held:
            router.record_execution(held.pop())
        return (request(unit="correlation-1234567"),), {}

    def route(context: RoutingContext) -> None:
        held.append(router.route_request("model", context))

    benchmark.pedantic(route, setup=release, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("variants", [4])
def test_record_execution_with_an_experiment(benchmark, variants):
    """Time of freeing the place, learning, and updating the arm: histogram, difference, guardrails."""
    router = warm_router(variants, clock=steps(EVERY_ANSWER))
    router.experiments.set([EXPERIMENT])
    measure_record(benchmark, router)


@pytest.mark.parametrize("policy", ["throughput", "power", "adaptive"])
def test_route_request_of_other_goals(benchmark, policy):
    """Time of a decision among four variants by the policies of the other goals."""
    router = warm_router(4, policy)
    held: list[RoutingDecision] = []

    def release() -> tuple[tuple[RoutingContext], dict[str, object]]:
        while held:
            router.record_execution(held.pop())
        return (request(),), {}

    def route(context: RoutingContext) -> None:
        held.append(router.route_request("model", context))

    benchmark.pedantic(route, setup=release, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("variants", [4])
def test_route_request_and_explain(benchmark, variants):
    """Time of a decision and of its explanation: interval, confidence, scores."""
    router = warm_router(variants)

    def explained() -> None:
        decision = router.route_request("model", request())
        assert decision.candidates
        assert 0.0 <= decision.confidence <= 1.0
        router.record_execution(decision)

    benchmark.pedantic(explained, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("variants", [2, 4, 8])
@pytest.mark.parametrize("step_s", [EVERY_ANSWER, ONE_IN_TEN], ids=["every_answer", "one_in_ten"])
def test_record_execution(benchmark, variants, step_s):
    """Time of freeing the place and learning, from every answer or from one in ten."""
    router = warm_router(variants, clock=steps(step_s))
    measure_record(benchmark, router)


@pytest.mark.parametrize("outputs", [1, 4])
def test_check_of_an_answer(benchmark, outputs):
    """Time of comparing the outputs of an answer with those declared, without Triton's own calls."""
    names = [f"output_{number}" for number in range(outputs)]
    declared = tuple(TensorSpec(name, "TYPE_FP32", (4,)) for name in names)
    parameters = RouterParameters(variants=(VariantEntry("a"),))
    setup = RouterSetup("m", Path(), parameters, (), Signature((), declared, 8), None)
    expected = ExpectedAnswer(setup)
    answered = [(name, "FP32", [8, 4]) for name in names]
    assert benchmark(expected.failure_of, answered, names, 8) is None
    assert expected.failure_of(answered, names, 7) is not None


def test_memory_per_variant(benchmark):
    """Memory of a variant's profile after 50 answers, at most 8 KB."""

    def grown() -> float:
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        router = warm_router(8)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert router.model("model").state("variant_0").answers == 50
        return (after - before) / 8

    bytes_per_variant = benchmark.pedantic(grown, rounds=1)
    benchmark.extra_info["bytes_per_variant"] = bytes_per_variant
    assert bytes_per_variant < 8192
