import itertools
import math

import pytest

from router_backend import Device, Fault, ModelRouter, ModelSettings, RoutingContext, Variant


@pytest.fixture
def router() -> ModelRouter:
    """Return a model with one variant, which was measured once at 4 ms."""
    seconds = itertools.count()  # each reading of the clock is a second later
    router = ModelRouter(clock=lambda: float(next(seconds)))
    router.register_model("m", variants=[Variant("cpu", Device.CPU)])
    answer(router, 4.0)
    return router


def answer(router: ModelRouter, latency_ms: float) -> float:
    """Return the prediction for a request that is then answered."""
    decision = router.route_request("m", RoutingContext())
    router.record_execution(decision, latency_ms=latency_ms, memory_mb=100.0, power_w=10.0)
    return decision.expected_latency_ms


def test_without_profiling_predictions_do_not_change(router):
    before = answer(router, 4.0)
    router.configure(lambda _: ModelSettings(profiling=False))
    predictions = [answer(router, 400.0) for _ in range(5)]
    assert predictions == pytest.approx([before] * 5)
    assert router.model("m").state("cpu").load.in_flight == 0
    assert router.get_metrics().get_model_metrics("m").total_requests == 7


def test_when_profiling_is_enabled_again_answers_are_learned_from(router):
    router.configure(lambda _: ModelSettings(profiling=False))
    before = answer(router, 400.0)
    router.configure(lambda _: ModelSettings(profiling=True))
    for _ in range(20):
        answer(router, 400.0)
    assert answer(router, 400.0) > 10 * before


def test_without_profiling_an_answer_still_closes_the_breaker():
    now_s = 0.0
    router = ModelRouter(ModelSettings(profiling=False), clock=lambda: now_s)
    router.register_model("m", variants=[Variant("cpu", Device.CPU)])
    router.record_execution(router.route_request("m", RoutingContext()), error=Fault.DEAD)
    assert router.model("m").state("cpu").breaker.state.value == "open"
    now_s = 3600.0
    answer(router, 4.0)
    assert router.model("m").state("cpu").breaker.state.value == "closed"


@pytest.mark.parametrize(("instances", "served"), [(1, [1, 1, 1]), (2, [2, 2, 1])])
def test_each_request_that_a_variant_serves_has_an_equal_share_of_the_power_of_its_device(instances, served):
    """Of three requests that are sent, as many are served at once as there are instances."""
    router = ModelRouter(clock=itertools.count().__next__)
    router.register_model("m", variants=[Variant("cpu", Device.CPU, concurrency=instances)])
    decisions = [router.route_request("m", RoutingContext()) for _ in range(3)]
    assert decisions[0].expected_power_w == 65.0 / instances
    for decision, sharing in zip(decisions, served, strict=True):
        router.record_execution(decision, latency_ms=4.0, power_w=20.0 * sharing)
        assert decision.expected_power_w == pytest.approx(20.0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -40.0, 0.0, 40e6, 40e-6])
def test_wrong_measurements_among_good_ones_change_no_prediction(router, wrong):
    """From the first answers on; latencies, whose first ones were right, too."""
    state = router.model("m").state("cpu")
    for number in range(60):
        decision = router.route_request("m", RoutingContext(batch_size=1 + number % 4))
        if number % 6 == 5:
            router.record_execution(decision, latency_ms=wrong, memory_mb=wrong, power_w=wrong)
        else:
            router.record_execution(decision, latency_ms=4.0, memory_mb=100.0, power_w=10.0)
        for size in (1.0, 4.0, 32.0):
            assert state.profile.memory.predict(size) == pytest.approx(100.0)
            assert state.profile.power.predict(size) == pytest.approx(10.0)
    assert state.profile.memory.rejected == state.profile.power.rejected == 10
