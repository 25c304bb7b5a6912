"""What a router counts, under the names of the specification."""

import itertools

import pytest

from router_backend.core.records.basis import Basis
from router_backend.core.records.outcome import Fault, Outcome, Refusal
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.errors import DeadlineError, InvalidRequestError, NoVariantError

GPU_ONLY = RoutingContext(allowed_variants=frozenset({"m_gpu"}))


@pytest.fixture
def router() -> ModelRouter:
    seconds = itertools.count()  # each reading of the clock is a second later
    router = ModelRouter(ModelSettings(refuse_late=True), clock=lambda: float(next(seconds)))
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
    return router


def test_requests_and_latencies_are_counted_by_device(router: ModelRouter) -> None:
    for latency_ms in (4.0, 6.0):
        router.record_execution(router.route_request("m", GPU_ONLY), latency_ms=latency_ms)
    metrics = router.get_metrics().get_model_metrics("m")
    assert metrics.total_requests == 2
    assert metrics.backend_counts == dict.fromkeys(Device, 0) | {Device.GPU: 2}
    assert metrics.avg_latency_ms == dict.fromkeys(Device, 0.0) | {Device.GPU: 5.0}


def test_predictions_are_compared_with_observations(router: ModelRouter) -> None:
    for latency_ms in (4.0, 4.0, 6.0):
        decision = router.route_request("m", GPU_ONLY)
        expected_ms = decision.expected_latency_ms
        router.record_execution(decision, latency_ms=latency_ms)
    variant = router.get_metrics().get_model_metrics("m").variants["m_gpu"]
    assert variant.counts.prediction_error_ms >= abs(6.0 - expected_ms)
    assert 0.0 < variant.confidence < 1.0


def test_a_prediction_is_a_guess_until_the_second_answer(router: ModelRouter) -> None:
    bases = []
    for _ in range(3):
        bases.append(router.get_metrics().get_model_metrics("m").variants["m_gpu"].basis)
        router.record_execution(router.route_request("m", GPU_ONLY), latency_ms=4.0)
    assert bases == [Basis.GUESS, Basis.GUESS, Basis.MEASURED]


def test_an_implausible_latency_is_an_answer_without_a_time(router: ModelRouter) -> None:
    router.record_execution(router.route_request("m", GPU_ONLY), latency_ms=float("nan"))
    variant = router.get_metrics().get_model_metrics("m").variants["m_gpu"]
    assert (variant.count(Outcome.SUCCESS), variant.answers, variant.avg_latency_ms) == (1, 0, 0.0)
    assert variant.measurements_rejected == 1


def test_implausible_memory_and_power_are_counted(router: ModelRouter) -> None:
    router.record_execution(
        router.route_request("m", GPU_ONLY), latency_ms=4.0, memory_mb=-1.0, power_w=float("inf")
    )
    variant = router.get_metrics().get_model_metrics("m").variants["m_gpu"]
    assert (variant.answers, variant.measurements_rejected) == (1, 2)


def test_a_request_in_flight_is_counted_until_it_ends(router: ModelRouter) -> None:
    decision = router.route_request("m", GPU_ONLY)
    assert router.get_metrics().get_model_metrics("m").variants["m_gpu"].in_flight == 1
    router.record_execution(decision, latency_ms=4.0)
    assert router.get_metrics().get_model_metrics("m").variants["m_gpu"].in_flight == 0


def test_a_warm_up_is_learned_from_and_not_counted(router: ModelRouter) -> None:
    warmup = RoutingContext(allowed_variants=frozenset({"m_gpu"}), warmup=True)
    for _ in range(2):
        router.record_execution(router.route_request("m", warmup), latency_ms=4.0)
    assert router.get_metrics().get_model_metrics("m").total_requests == 0
    assert router.model("m").state("m_gpu").profile.latency.known


def test_every_refusal_is_counted_by_its_reason(router: ModelRouter) -> None:
    for _ in range(2):
        router.record_execution(router.route_request("m", GPU_ONLY), latency_ms=50.0)
    with pytest.raises(DeadlineError):
        router.route_request("m", RoutingContext(allowed_variants=frozenset({"m_gpu"}), max_latency_ms=1.0))
    for _ in range(3):
        with pytest.raises(NoVariantError):
            router.route_request("m", RoutingContext(excluded_variants=frozenset({"m_gpu", "m_cpu"})))
    with pytest.raises(InvalidRequestError):
        router.route_request("m", RoutingContext(policy="nobodys"))
    for reason in (Refusal.SHED, Refusal.OVERLOADED, Refusal.OVERLOADED):
        router.model("m").refused(reason)
    metrics = router.get_metrics().get_model_metrics("m")
    assert metrics.counts.refusals == dict.fromkeys(Refusal, 1) | {
        Refusal.NO_VARIANT: 3,
        Refusal.OVERLOADED: 2,
    }
    assert metrics.counts.decisions == 7


def test_retries_count_at_the_variant_that_failed(router: ModelRouter) -> None:
    for _ in range(2):
        dispatch = router.dispatch("m", RoutingContext())
        router.model("m").set_ready("m_cpu", "not ready: loading")
        dispatch.next_attempt().failed(Fault.ERROR)
        router.model("m").set_ready("m_cpu", None)
        assert dispatch.next_attempt().variant == "m_cpu"
    variants = router.get_metrics().get_model_metrics("m").variants
    assert {name: each.counts.retries for name, each in variants.items()} == {"m_gpu": 2, "m_cpu": 0}


def test_a_dead_process_is_counted_by_its_fault(router: ModelRouter) -> None:
    failed = router.dispatch("m", RoutingContext()).next_attempt()
    failed.failed(Fault.DEAD)
    variants = router.get_metrics().get_model_metrics("m").variants
    assert variants[failed.variant].counts.faults == {**dict.fromkeys(Fault, 0), Fault.DEAD: 1}


def test_a_variant_is_ready_until_it_is_reported_not_to_be(router: ModelRouter) -> None:
    router.model("m").set_ready("m_cpu", "not ready: loading")
    variants = router.get_metrics().get_model_metrics("m").variants
    assert {name: each.ready for name, each in variants.items()} == {"m_gpu": True, "m_cpu": False}


@pytest.mark.parametrize("answered", [True, False])
def test_an_error_is_counted_once_when_its_cause_is_known(router: ModelRouter, answered: bool) -> None:
    dispatch = router.dispatch("m", RoutingContext())
    failed = dispatch.next_attempt()
    failed.failed(Fault.ERROR)
    assert router.get_metrics().get_model_metrics("m").variants[failed.variant].counts.ends == {}
    if answered:
        dispatch.next_attempt().succeeded(4.0)
    else:
        dispatch.cancel()
    (ends,) = router.get_metrics().get_model_metrics("m").variants[failed.variant].counts.ends.values()
    assert ends == {Outcome.SUCCESS: 0, Outcome.FAILURE: int(answered), Outcome.IGNORED: int(not answered)}


def test_changes_of_the_settings_are_counted_by_their_result(router: ModelRouter) -> None:
    for _ in range(2):
        router.configure(lambda _: ModelSettings())
    for _ in range(3):
        router.model("m").config_refused()
    metrics = router.get_metrics().get_model_metrics("m")
    assert (metrics.counts.configs_accepted, metrics.counts.configs_refused) == (2, 3)
    assert metrics.config_age_s == 1.0


def test_a_snapshot_does_not_change_afterwards(router: ModelRouter) -> None:
    before = router.get_metrics().get_model_metrics("m")
    router.record_execution(router.route_request("m", GPU_ONLY), latency_ms=4.0)
    assert before.total_requests == 0


def test_an_unknown_model_is_refused_with_the_known_ones(router: ModelRouter) -> None:
    router.register_model("o", variants=[Variant("m_gpu", Device.GPU)])
    for metrics, known in ((router.get_metrics(), "m, o"), (ModelRouter().get_metrics(), "none yet")):
        with pytest.raises(InvalidRequestError) as error:
            metrics.get_model_metrics("n")
        assert str(error.value) == f"model 'n' is not registered: found {known}"


def test_before_any_request_no_ratio_divides_by_zero(router: ModelRouter) -> None:
    metrics = router.get_metrics().get_model_metrics("m")
    assert (metrics.total_requests, metrics.avg_decision_us) == (0, 0.0)
