"""What a decision and what it learns cost, by pytest-benchmark: `pytest tests/benchmarks/test_decision.py`.

The router knows every variant, as it does after warm-up, and its variants have requests in flight.
"""

import random
import time
import tracemalloc

import pytest

from router_backend.core.decision import RoutingDecision
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.request import RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.core.router_config import RouterConfig
from router_backend.core.variant import Device, Variant

SIZES = (1, 2, 4, 8, 16, 32)
EXPERIMENT = Experiment("v2", "latency", "latency", 0.5)


def warm_router(variants: int, policy: str = "latency") -> ModelRouter:
    router = ModelRouter(RouterConfig(policy=policy), clock=time.monotonic, rng=random.Random(0))
    router.register_model("model", variants=described(variants))
    rng = random.Random(0)
    for _ in range(50):
        for number in range(variants):
            context = RoutingContext(rng.choice(SIZES), allowed_variants=frozenset({f"variant_{number}"}))
            decision = router.route_request("model", context)
            law_ms = (2.0 + context.batch_size) * (1.0 + number)
            router.record_execution(decision, latency_ms=law_ms * rng.lognormvariate(0.0, 0.05))
    return router


def described(variants: int) -> list[Variant]:
    devices = list(Device)
    return [
        Variant(f"variant_{number}", devices[number % len(devices)], 1 + number % 2, max_batch_size=32)
        for number in range(variants)
    ]


@pytest.mark.parametrize("deadline", [None, 100.0], ids=["", "deadline"])
@pytest.mark.parametrize("variants", [2, 4, 8])
def test_route_request(benchmark, variants, deadline):
    """Filters, predictions, costs, exploration, propensity, record of the candidates, place in flight."""
    router = warm_router(variants)
    context = RoutingContext(batch_size=8, elements=1204224, max_latency_ms=deadline)

    held: list[RoutingDecision] = []

    def release() -> None:
        while held:
            router.record_execution(held.pop())

    def route() -> None:
        held.append(router.route_request("model", context))

    benchmark.pedantic(route, setup=release, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("variants", [4])
def test_route_request_with_an_experiment(benchmark, variants):
    """Hashes the unit into an arm, whose policy decides."""
    router = warm_router(variants)
    router.set_experiments([EXPERIMENT])
    context = RoutingContext(batch_size=8, elements=1204224, unit="correlation-1234567")
    held: list[RoutingDecision] = []

    def release() -> None:
        while held:
            router.record_execution(held.pop())

    def route() -> None:
        held.append(router.route_request("model", context))

    benchmark.pedantic(route, setup=release, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("variants", [4])
def test_record_execution_with_an_experiment(benchmark, variants):
    """Frees the place, learns, and counts for the arm: histogram, difference, guardrails."""
    router = warm_router(variants)
    router.set_experiments([EXPERIMENT])
    rng = random.Random(0)
    held: list[tuple[RoutingDecision, float]] = []

    def route() -> None:
        context = RoutingContext(batch_size=8, elements=1204224)
        held.append((router.route_request("model", context), rng.lognormvariate(2.3, 0.3)))

    def record() -> None:
        decision, latency_ms = held.pop()
        router.record_execution(decision, latency_ms=latency_ms)

    benchmark.pedantic(record, setup=route, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("policy", ["throughput", "power", "adaptive"])
def test_route_request_of_other_goals(benchmark, policy):
    """The same, with four variants, by the policies of the other goals."""
    router = warm_router(4, policy)
    context = RoutingContext(batch_size=8, elements=1204224)
    held: list[RoutingDecision] = []

    def release() -> None:
        while held:
            router.record_execution(held.pop(), latency_ms=10.0)

    def route() -> None:
        held.append(router.route_request("model", context))

    benchmark.pedantic(route, setup=release, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("variants", [4])
def test_route_request_and_explain(benchmark, variants):
    """The same, and what the output `routing_decision` is made of: interval, confidence, scores."""
    router = warm_router(variants)
    context = RoutingContext(batch_size=8, elements=1204224)

    def explained() -> None:
        decision = router.route_request("model", context)
        assert decision.candidates
        assert 0.0 <= decision.confidence <= 1.0
        router.record_execution(decision)

    benchmark.pedantic(explained, rounds=20_000, iterations=1, warmup_rounds=500)


@pytest.mark.parametrize("variants", [2, 4, 8])
def test_record_execution(benchmark, variants):
    """Frees the place and learns."""
    router = warm_router(variants)
    context = RoutingContext(batch_size=8, elements=1204224)
    held: list[RoutingDecision] = []

    def route() -> None:
        held.append(router.route_request("model", context))

    def record() -> None:
        router.record_execution(held.pop(), latency_ms=10.0)

    benchmark.pedantic(record, setup=route, rounds=20_000, iterations=1, warmup_rounds=500)


def test_memory_per_variant(benchmark):
    """What a variant's profile holds after 50 answers; 8 KB is the limit."""

    def grown() -> float:
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        router = warm_router(8)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert router.profile("model", "variant_0").successes == 50
        return (after - before) / 8

    bytes_per_variant = benchmark.pedantic(grown, rounds=1)
    benchmark.extra_info["bytes_per_variant"] = bytes_per_variant
    assert bytes_per_variant < 8192
