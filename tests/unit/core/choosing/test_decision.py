import math

import pytest

from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from tests.unit.core.choosing.taught import TaughtRouter


def test_states_what_was_chosen_by_what_and_what_is_expected():
    variants = [Variant("ane", Device.NEURAL_ENGINE), Variant("cpu", Device.CPU)]
    taught = TaughtRouter({"ane": 8.0, "cpu": 8.0}, variants=variants)
    decision = taught.route(policy="random", allowed_variants=frozenset({"ane"}), batch_size=3)
    assert (decision.model_name, decision.variant, decision.device, decision.size) == (
        "resnet50",
        "ane",
        Device.NEURAL_ENGINE,
        3.0,
    )
    assert (decision.policy, decision.propensity, decision.probe) == ("random", 1.0, False)
    decision = taught.route(policy="random")
    assert decision.propensity == 0.5
    assert decision.expected_service_ms == pytest.approx(8.0)
    assert decision.now_s == taught.now_s


def test_the_expected_latency_includes_the_wait():
    taught = TaughtRouter({"a": 8.0})
    first = taught.route()
    second = taught.route()
    assert second.expected_service_ms == pytest.approx(8.0)
    assert second.expected_latency_ms == pytest.approx(16.0)
    assert first.expected_latency_ms == pytest.approx(8.0)
    assert (first.in_flight, second.in_flight) == (0, 1)


def test_the_interval_contains_the_expected_latency_and_does_not_change():
    taught = TaughtRouter({"a": 8.0})
    decision = taught.route()
    low_ms, high_ms = decided = decision.expected_interval_ms
    assert low_ms * high_ms == pytest.approx(8.0**2)
    assert low_ms < 8.0 < high_ms
    assert high_ms == pytest.approx(8.0 * math.exp(decision.half_width))
    taught.answer(decision, 80.0)
    assert decision.expected_interval_ms == decided


def test_the_interval_of_a_prior_is_wide():
    fast = Variant("a", Device.CPU, suitability=Suitability(fixed_ms=8.0))
    router = ModelRouter(clock=lambda: 0.0)
    router.register_model("m", variants=[fast])
    low_ms, high_ms = router.route_request("m", RoutingContext()).expected_interval_ms
    assert (low_ms, high_ms) == pytest.approx((1.6, 40.0))


@pytest.mark.parametrize(
    ("context", "deadline_ms"),
    [({}, None), ({"max_latency_ms": 50.0}, 50.0), ({"max_latency_ms": 50.0, "spent_ms": 20.0}, 30.0)],
)
def test_the_deadline_is_the_time_that_was_left(context, deadline_ms):
    assert TaughtRouter({"a": 8.0}).route(**context).deadline_ms == deadline_ms


class TestReason:
    def test_states_the_expected_latency_of_the_best_and_how_many_could_serve(self):
        decision = TaughtRouter({"a": 8.0, "b": 30.0, "c": 40.0}).route(excluded_variants=frozenset({"c"}))
        assert decision.reason == "best by 'latency', expected in 8 ms; 2 of 3 variants could serve it"

    def test_of_a_probe_states_that_it_explores(self):
        taught = TaughtRouter({"best": 10.0, "other": 10.1})
        decision = taught.route()
        while not decision.probe:
            taught.router.record_execution(decision)
            decision = taught.route()
        assert decision.reason == (
            "tried to learn more about 'other' by 'latency', expected in 10.1 ms; "
            "2 of 2 variants could serve it"
        )


class TestConfidence:
    def test_does_not_change_after_later_answers(self):
        taught = TaughtRouter({"a": 10.0, "b": 10.5})
        decision = taught.route_to("a")
        decided = decision.confidence
        taught.answer(decision, 30.0)
        assert decision.confidence == decided

    def test_is_by_the_variance_of_both_predictions(self):
        taught = TaughtRouter({"a": 10.0, "b": 10.5})
        variance = sum(
            service_ms**2 * taught.model.state(name).profile.latency.relative_variance(taught.now_s)
            for name, service_ms in (("a", 10.0), ("b", 10.5))
        )
        confidence = taught.route_to().confidence
        assert confidence == pytest.approx(0.5 * (1 + math.erf(0.5 / math.sqrt(2 * variance))), rel=1e-3)
        assert 0.5 < confidence < 1.0

    def test_grows_with_the_lead(self):
        taught = TaughtRouter({"a": 10.0, "b": 12.0, "c": 30.0})
        decision = taught.route_to()
        narrow = decision.confidence
        taught.router.record_execution(decision)
        wide = taught.route_to(excluded_variants=frozenset({"b"})).confidence
        assert 0.5 < narrow < wide <= 1.0

    def test_of_a_choice_against_the_costs_is_below_one_half(self):
        assert 0.0 < TaughtRouter({"a": 10.0, "b": 12.0}).route_to("b").confidence < 0.5


class TestCandidates:
    def test_the_best_scores_one_and_others_their_share_of_its_cost(self):
        decision = TaughtRouter({"a": 20.0, "b": 10.0, "c": 40.0}).route_to()
        assert {each.variant: each.score for each in decision.candidates} == pytest.approx(
            {"a": 0.5, "b": 1.0, "c": 0.25}
        )
        assert {each.variant: each.expected_latency_ms for each in decision.candidates} == pytest.approx(
            {"a": 20.0, "b": 10.0, "c": 40.0}
        )

    def test_a_rejected_variant_has_no_score_and_no_prediction(self):
        decision = TaughtRouter({"a": 20.0, "b": 10.0}).route(excluded_variants=frozenset({"b"}))
        (rejected,) = (each for each in decision.candidates if each.variant == "b")
        assert (rejected.score, rejected.expected_latency_ms) == (0.0, None)
        assert rejected.reason_out == "excluded from this request"
        assert rejected.device is Device.CPU

    def test_they_do_not_change_after_the_decision(self):
        taught = TaughtRouter({"a": 10.0, "b": 20.0})
        decision = taught.route_to()
        before = decision.candidates
        later = [taught.route_to() for _ in range(5)]
        taught.answer(decision, 500.0)
        assert decision.candidates == before
        assert len(later) == 5


def test_the_place_in_flight_is_passed_on_once():
    decision = TaughtRouter({"a": 8.0}).route()
    assert decision.take_place() is not None
    assert decision.take_place() is None
