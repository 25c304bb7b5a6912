import math
import random

import pytest

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.model.logical_model import LogicalModel
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from tests.unit.core.candidates import StatedLatency

NOW_S = 100.0


def route(model: LogicalModel, wanted: str | None = None, **context: object) -> RoutingDecision:
    model.policy.wanted = wanted
    return model.route(RoutingContext(**context), NOW_S, random.Random(0))


def test_says_what_was_chosen_by_whom_and_what_is_expected(make_model):
    model = make_model(variants=[Variant("ane", Device.NEURAL_ENGINE)], learned_ms={"ane": 8.0})
    decision = route(model)
    assert (decision.model_name, decision.variant, decision.device) == (
        "resnet50",
        "ane",
        Device.NEURAL_ENGINE,
    )
    assert (decision.policy, decision.propensity, decision.probe) == ("shortest", 0.5, False)
    assert decision.expected_service_ms == pytest.approx(8.0)
    assert decision.expected_latency_ms == pytest.approx(8.0)


def test_the_expected_latency_holds_the_wait(make_model):
    model = make_model("a", learned_ms={"a": 8.0})
    first = route(model)
    second = route(model)
    assert second.expected_service_ms == pytest.approx(8.0)
    assert second.expected_latency_ms == pytest.approx(16.0)
    assert first.expected_latency_ms == pytest.approx(8.0)


def test_the_interval_is_around_the_expected_latency_and_stays_as_it_was_decided(make_model):
    model = make_model("a", learned_ms={"a": 8.0})
    decision = route(model)
    low_ms, high_ms = decided = decision.expected_interval_ms
    assert low_ms * high_ms == pytest.approx(8.0**2)
    assert low_ms < 8.0 < high_ms
    model.record(decision, 80.0, None, NOW_S + 0.08)
    assert decision.expected_interval_ms == decided


class TestConfidence:
    def test_stays_as_it_was_decided_whatever_is_learned_afterwards(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 10.5})
        decision = route(model, wanted="a")
        decided = decision.confidence
        model.record(decision, 30.0, None, NOW_S + 0.03)
        assert decision.confidence == decided

    def test_is_one_where_there_was_no_other(self, make_model):
        assert route(make_model("a")).confidence == 1.0

    def test_is_the_probability_that_the_lead_is_real(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 10.5})
        variance = sum(
            service_ms**2 * model.profiles[name].latency.relative_variance(NOW_S)
            for name, service_ms in (("a", 10.0), ("b", 10.5))
        )
        confidence = route(model).confidence
        assert confidence == pytest.approx(0.5 * (1 + math.erf(0.5 / math.sqrt(2 * variance))), rel=1e-3)
        assert 0.5 < confidence < 1.0

    def test_of_equals_is_one_half(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 10.0})
        assert route(model).confidence == pytest.approx(0.5)

    def test_grows_with_the_lead(self, make_model):
        model = make_model("a", "b", "c", learned_ms={"a": 10.0, "b": 12.0, "c": 30.0})
        narrow = route(model).confidence
        wide = route(model, excluded_variants=frozenset({"b"})).confidence
        assert 0.5 < narrow < wide <= 1.0

    def test_of_a_choice_against_the_costs_is_below_one_half(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 12.0})
        assert 0.0 < route(model, wanted="b").confidence < 0.5

    @pytest.mark.parametrize(("wanted", "confidence"), [("a", 1.0), ("b", 0.0)])
    def test_of_figures_beyond_doubt_is_all_or_nothing(self, make_model, wanted, confidence):
        model = make_model("a", "b")
        for name, service_ms in (("a", 10.0), ("b", 12.0)):
            model.profiles[name].latency = StatedLatency(service_ms, relative_sd=0.0)
        assert route(model, wanted=wanted).confidence == confidence

    def test_of_equals_beyond_doubt_is_one_half(self, make_model):
        model = make_model("a", "b")
        for name in ("a", "b"):
            model.profiles[name].latency = StatedLatency(10.0, relative_sd=0.0)
        assert route(model).confidence == 0.5

    def test_counts_against_the_best_of_the_others(self, make_model):
        model = make_model("a", "b", "c", learned_ms={"a": 10.0, "b": 11.0, "c": 90.0})
        without_third = route(model, excluded_variants=frozenset({"c"})).confidence
        assert route(model).confidence == pytest.approx(without_third, rel=0.1)


class TestCandidates:
    def test_the_best_scores_one_and_others_their_share_of_its_cost(self, make_model):
        model = make_model("a", "b", "c", learned_ms={"a": 20.0, "b": 10.0, "c": 40.0})
        scores = {candidate.variant: candidate.score for candidate in route(model).candidates}
        assert scores == pytest.approx({"a": 0.5, "b": 1.0, "c": 0.25})

    def test_a_cost_of_nothing_scores_one(self, make_model):
        model = make_model("a", "b")
        for name, service_ms in (("a", 0.0), ("b", 5.0)):
            model.profiles[name].latency = StatedLatency(service_ms, relative_sd=0.1)
        assert [candidate.score for candidate in route(model).candidates] == [1.0, 0.0]

    def test_a_variant_that_was_out_scores_nothing_and_predicts_nothing(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 20.0, "b": 10.0})
        (out,) = (
            candidate
            for candidate in route(model, excluded_variants=frozenset({"b"})).candidates
            if candidate.variant == "b"
        )
        assert (out.score, out.expected_latency_ms) == (0.0, None)
        assert out.reason_out == "excluded from this request"
        assert out.device is Device.CPU

    def test_they_stay_as_they_were_when_it_was_decided(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 20.0})
        decision = route(model)
        before = decision.candidates
        later = [route(model) for _ in range(5)]
        model.record(decision, 500.0, None, NOW_S + 0.5)
        assert decision.candidates == before
        assert len(later) == 5


def test_the_place_in_flight_is_handed_over_once(make_model):
    decision = route(make_model("a"))
    assert decision.take_place() is not None
    assert decision.take_place() is None
