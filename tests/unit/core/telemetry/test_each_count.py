"""Each metric reads its own count, and each count counts what its help says."""

import pytest

from router_backend import (
    Device,
    Fault,
    ModelRouter,
    ModelSettings,
    OptimizationGoal,
    Policy,
    RoutingContext,
    RoutingMetrics,
    Variant,
)
from router_backend.core.records.basis import Basis
from router_backend.core.telemetry.counters import ModelCounts, VariantCounts
from router_backend.core.telemetry.metrics import samples
from router_backend.core.telemetry.snapshot import ModelMetrics, VariantMetrics
from router_backend.core.variants.health import BreakerState


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def router(clock: Clock) -> ModelRouter:
    router = ModelRouter(clock=clock)
    router.register_model("m", variants=[Variant("gpu", Device.GPU), Variant("cpu", Device.CPU)])
    return router


def answer(router: ModelRouter, clock: Clock, latency_ms: float, **context) -> None:
    decision = router.route_request("m", RoutingContext(allowed_variants=frozenset({"gpu"}), **context))
    clock.now_s += latency_ms / 1e3
    router.record_execution(decision, latency_ms=latency_ms)


def of_gpu(router: ModelRouter) -> VariantMetrics:
    return router.get_metrics().get_model_metrics("m").variants["gpu"]


def test_every_metric_with_one_value_reads_the_count_of_its_name() -> None:
    variant = VariantMetrics(
        variant="gpu",
        device=Device.GPU,
        counts=VariantCounts(
            latency_ms=1e3,
            prediction_error_ms=2e3,
            deadline_misses=3,
            retries=4,
            reloads=15,
            failed_reloads=16,
        ),
        measurements_rejected=5,
        drift_alarms=6,
        in_flight=7,
        utilization=8.0,
        breaker=BreakerState.CLOSED,
        basis=Basis.PRIOR,
        ready=False,
        confidence=0.9,
    )
    counts = ModelCounts(decisions=10, decision_s=11.0, configs_accepted=12, configs_refused=13)
    model = ModelMetrics("m", {"gpu": variant}, counts, 14.0, {})
    found = {
        (sample.metric.name.removeprefix("model_router_"), *sample.labels[-1:]): sample.value
        for sample in samples(RoutingMetrics({"m": model}), "r")
    }
    expected = {
        ("request_duration_seconds_total", "gpu"): 1.0,
        ("prediction_error_seconds_total", "gpu"): 2.0,
        ("deadline_misses_total", "gpu"): 3,
        ("retries_total", "gpu"): 4,
        ("reloads_total", "succeeded"): 15,
        ("reloads_total", "failed"): 16,
        ("measurements_rejected_total", "gpu"): 5,
        ("drift_alarms_total", "gpu"): 6,
        ("in_flight_requests", "r"): 7,
        ("utilization_ratio", "r"): 8.0,
        ("variant_ready", "r"): 0.0,
        ("prediction_confidence_ratio", "r"): 0.9,
        ("prediction_basis", "measured"): 0.0,
        ("prediction_basis", "prior"): 1.0,
        ("prediction_basis", "guess"): 0.0,
        ("decisions_total", "m"): 10,
        ("decision_duration_seconds_total", "m"): 11.0,
        ("config_reloads_total", "accepted"): 12,
        ("config_reloads_total", "refused"): 13,
        ("config_age_seconds", "r"): 14.0,
    }
    assert {key: found[key] for key in expected} == expected


def test_an_answer_at_its_deadline_or_at_a_bound_is_within_it(router: ModelRouter, clock: Clock) -> None:
    answer(router, clock, 5.0, max_latency_ms=5.0)
    counts = of_gpu(router).counts
    assert (counts.answers_within[2], counts.deadline_misses) == (1, 0)  # at most 5 ms
    answer(router, clock, 5.1, max_latency_ms=5.0)
    assert of_gpu(router).counts.deadline_misses == 1


def test_the_wait_is_part_of_what_was_predicted(router: ModelRouter, clock: Clock) -> None:
    for _ in range(20):
        answer(router, clock, 10.0)
    before_ms = of_gpu(router).counts.prediction_error_ms
    context = RoutingContext(allowed_variants=frozenset({"gpu"}))
    first, second = (router.route_request("m", context) for _ in range(2))
    clock.now_s += 0.02
    router.record_execution(second, latency_ms=20.0)
    router.record_execution(first)
    assert second.expected_latency_ms > 1.5 * second.expected_service_ms
    error_ms = of_gpu(router).counts.prediction_error_ms - before_ms
    assert error_ms == pytest.approx(abs(20.0 - second.expected_latency_ms))


def test_the_mean_latency_of_a_device_is_that_of_its_answers(router: ModelRouter, clock: Clock) -> None:
    on_gpu = RoutingContext(allowed_variants=frozenset({"gpu"}))
    answer(router, clock, 6.0)
    router.record_execution(router.route_request("m", on_gpu), error=Fault.ERROR)
    router.record_execution(router.route_request("m", on_gpu))
    assert router.get_metrics().get_model_metrics("m").avg_latency_ms[Device.GPU] == pytest.approx(6.0)


def test_warm_ups_are_among_the_decisions(router: ModelRouter) -> None:
    router.record_execution(router.route_request("m", RoutingContext(warmup=True)))
    assert router.get_metrics().get_model_metrics("m").counts.decisions == 1


def test_the_age_of_the_settings_begins_again_with_a_change(router: ModelRouter, clock: Clock) -> None:
    clock.now_s += 60.0
    router.configure(lambda _: ModelSettings())
    clock.now_s += 1.0
    assert router.get_metrics().get_model_metrics("m").config_age_s == 1.0


def test_a_policy_is_told_of_no_end_without_profiling(clock: Clock) -> None:
    told = []

    class Learning(Policy):
        name = "learning"

        def score(self, candidates, request) -> None:
            for candidate in candidates:
                candidate.cost = 1.0

        def observe(self, execution) -> None:
            told.append(execution)

    router = ModelRouter(ModelSettings(profiling=False), clock=clock)
    router.set_routing_policy(Learning)
    router.register_model("m", variants=[Variant("gpu", Device.GPU)])
    answer(router, clock, 5.0)
    assert told == []


def test_a_request_that_names_a_policy_and_a_goal_is_decided_by_the_policy(router: ModelRouter) -> None:
    context = RoutingContext(policy="round_robin", optimization_goal=OptimizationGoal.MINIMIZE_POWER)
    assert router.route_request("m", context).policy == "round_robin"
