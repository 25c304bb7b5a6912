"""What `ModelRouter` chooses after it has seen latencies."""

import math
import random

import pytest

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.dispatch import Dispatch
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from tests.unit.core.clock import Clock
from tests.unit.core.router.served import CPU, GPU, best, in_flight, serve


class TestLearning:
    def test_a_gpu_is_tried_first_and_kept_if_it_is_faster(self, router, clock):
        latency_ms = {GPU.name: 4.0, CPU.name: 30.0}
        chosen = []
        for _ in range(100):
            decision = router.route_request("resnet50", RoutingContext())
            chosen.append(decision.variant)
            clock.now_s += latency_ms[decision.variant] / 1e3
            router.record_execution(decision, latency_ms=latency_ms[decision.variant])
            clock.now_s += 0.1
        assert chosen[0] == GPU.name
        assert chosen.count(GPU.name) >= 97
        assert decision.expected_latency_ms == pytest.approx(4.0, rel=0.02)

    @pytest.mark.parametrize(("cpu_ms", "best_name"), [(2.0, CPU.name), (30.0, GPU.name)])
    def test_copies_measure_the_other_one_while_no_client_waits(self, clock, cpu_ms, best_name):
        router = ModelRouter(clock=clock, rng=random.Random(0), copies=True)
        router.register_model("resnet50", variants=[GPU, CPU])
        latency_ms = {GPU.name: 4.0, CPU.name: cpu_ms}

        def answer(dispatch: Dispatch) -> str:
            attempt = dispatch.next_attempt()
            clock.now_s += latency_ms[attempt.variant] / 1e3
            attempt.succeeded(latency_ms[attempt.variant])
            clock.now_s += 0.1
            return attempt.variant

        chosen, copied = [], []
        for _ in range(100):
            dispatch = router.dispatch("resnet50", RoutingContext())
            chosen.append(answer(dispatch))
            copy = dispatch.copy()
            if copy is not None:
                copied.append(answer(copy))
        assert set(copied[:8]) == {GPU.name, CPU.name}
        assert len(copied) <= 16, "until each has eight answers"
        assert router.model("resnet50").state(CPU.name).profile.latency.known
        assert chosen[16:].count(best_name) >= 82
        assert router.get_metrics().get_model_metrics("resnet50").total_requests == 100, "copies do not count"

    def test_it_learns_that_the_faster_one_depends_on_the_batch(self, router, clock):
        def latency_ms(variant: str, batch_size: int) -> float:
            return 10.0 + 0.5 * batch_size if variant == GPU.name else 1.0 + 3.0 * batch_size

        for batch_size in (1, 2, 4, 8, 16, 32) * 5:
            for variant in (GPU.name, CPU.name):
                context = {"batch_size": batch_size, "allowed_variants": frozenset({variant})}
                serve(router, clock, latency_ms(variant, batch_size), **context)
                clock.now_s += 1.0
        clock.now_s += 10.0
        assert {size: best(router, batch_size=size) for size in (1, 2, 8, 32)} == {
            1: CPU.name,
            2: CPU.name,
            8: GPU.name,
            32: GPU.name,
        }

    def test_a_queue_makes_the_slower_variant_worth_it(self, router, clock):
        for variant, latency_ms in ((GPU.name, 10.0), (CPU.name, 25.0)):
            for _ in range(20):
                serve(router, clock, latency_ms, allowed_variants=frozenset({variant}))
        clock.now_s += 10.0
        bests, waiting = [], []
        for _ in range(4):
            bests.append(best(router))
            context = RoutingContext(allowed_variants=frozenset({GPU.name}))
            waiting.append(router.route_request("resnet50", context))
        assert bests == [GPU.name, GPU.name, CPU.name, CPU.name]

    @pytest.mark.parametrize("bad_ms", [math.nan, math.inf, -math.inf, -5.0, 0.0])
    def test_an_invalid_latency_is_counted_and_not_learned_from(self, router, clock, bad_ms):
        only_gpu = frozenset({GPU.name})
        for _ in range(20):
            serve(router, clock, 4.0, allowed_variants=only_gpu)
        state = router.model("resnet50").state(GPU.name)
        profile = state.profile
        before = profile.latency.predict(1.0, clock.now_s), profile.interval.get()
        waiting = [
            router.route_request("resnet50", RoutingContext(allowed_variants=only_gpu)) for _ in range(3)
        ]
        router.record_execution(waiting[0], latency_ms=bad_ms)
        assert (profile.latency.predict(1.0, clock.now_s), profile.interval.get()) == before
        assert profile.latency.rejected == 1
        assert state.load.in_flight == 2
        assert state.load.wait_ms(clock.now_s) == pytest.approx(8.0, rel=0.01)

    def test_a_clock_that_jumps_back_does_not_break_the_router(self, router, clock):
        for step_s in (0.1, -50.0, 0.0, 0.0, 200.0, -1000.0) * 20:
            decision = router.route_request("resnet50", RoutingContext())
            clock.now_s += step_s
            router.record_execution(decision, latency_ms=5.0)
            assert 0.0 < decision.expected_latency_ms < 1e6
        assert in_flight(router) == 0
        serve(router, clock, 5.0)
        latency = router.model("resnet50").state(GPU.name).profile.latency
        assert latency.predict(1.0, clock.now_s) == pytest.approx(5.0, rel=0.1)


class TestFaults:
    def test_a_failing_variant_gets_no_requests_while_its_breaker_is_open(self, router, clock):
        for variant, latency_ms in ((GPU.name, 4.0), (CPU.name, 30.0)) * 2:
            serve(router, clock, latency_ms, allowed_variants=frozenset({variant}))
        for _ in range(2):
            decision = router.route_request(
                "resnet50", RoutingContext(allowed_variants=frozenset({GPU.name}))
            )
            router.record_execution(decision, error=Fault.ERROR)
        assert router.route_request("resnet50", RoutingContext()).variant == CPU.name
        clock.now_s += 0.25
        assert router.route_request("resnet50", RoutingContext()).variant == GPU.name


def replay(seed: int, requests: int = 500) -> list[tuple[str, float, float, float, bool]]:
    """Return the decisions of a run with fixed arrivals, sizes and service times and a seeded router."""
    world, clock = random.Random(42), Clock(1000.0)
    router = ModelRouter(ModelSettings(), clock=clock, rng=random.Random(seed))
    router.register_model("resnet50", variants=[GPU, CPU])
    pending: list[tuple[float, int, float, RoutingDecision]] = []
    log = []
    for number in range(requests):
        clock.now_s += world.expovariate(200.0)
        for finish_s, _, latency_ms, decision in sorted(pending, key=lambda entry: entry[:2]):
            if finish_s <= clock.now_s:
                router.record_execution(decision, latency_ms=latency_ms)
        pending = [entry for entry in pending if entry[0] > clock.now_s]
        decision = router.route_request("resnet50", RoutingContext(batch_size=world.choice((1, 2, 4, 8))))
        latency_ms = decision.size * world.uniform(1.0, 3.0) * (1.0 if decision.variant == GPU.name else 4.0)
        pending.append((clock.now_s + latency_ms / 1e3, number, latency_ms, decision))
        log.append(
            (
                decision.variant,
                decision.expected_latency_ms,
                decision.confidence,
                decision.propensity,
                decision.probe,
            )
        )
    return log


def test_a_seeded_run_can_be_replayed_decision_by_decision():
    first, again = replay(seed=7), replay(seed=7)
    assert first == again
    assert {variant for variant, *_ in first} == {GPU.name, CPU.name}
