"""What a model does with the end of a request."""

import gc
import itertools
import math

import pytest

from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.variants.health import BreakerState
from router_backend.errors import NoVariantError
from tests.unit.core.conftest import NOW_S
from tests.unit.core.model.requests import route


class TestRecording:
    def test_a_success_frees_the_place_and_is_learned_from(self, make_model):
        model = make_model("a")
        decision = route(model)
        state = model.state("a")
        assert state.load.in_flight == 1
        model.at(NOW_S + 0.007).record(decision, latency_ms=7.0)
        assert state.load.in_flight == 0
        assert (state.answers, state.failures) == (1, 0)
        assert state.profile.latency.first.predict(1.0) == pytest.approx(7.0)

    @pytest.mark.parametrize("fault", [Fault.ERROR, Fault.DEAD])
    def test_a_failure_frees_the_place_and_is_counted_but_no_time_is_learned(self, make_model, fault):
        model = make_model("a")
        decision = route(model)
        model.at(NOW_S + 0.007).record(decision, latency_ms=7.0, fault=fault)
        state = model.state("a")
        assert state.load.in_flight == 0
        assert (state.answers, state.failures) == (0, 1)
        assert not state.profile.latency.known

    def test_a_variant_that_is_not_ready_frees_the_place_and_gets_no_more_without_a_failure(self, make_model):
        model = make_model("a")
        model.record(route(model), fault=Fault.NOT_READY)
        state = model.state("a")
        assert state.load.in_flight == 0
        assert (state.answers, state.failures) == (0, 0)
        with pytest.raises(NoVariantError, match="a: not ready: Triton has not loaded it"):
            route(model)

    def test_an_ignored_end_only_frees_the_place(self, make_model):
        model = make_model("a")
        decision = route(model)
        model.at(NOW_S + 0.007).record(decision)
        state = model.state("a")
        assert state.load.in_flight == 0
        assert (state.answers, state.failures) == (0, 0)
        assert not state.profile.latency.known

    def test_the_policy_observes_every_answer_with_its_request(self, make_model):
        model = make_model("a", "b")
        for number, latency_ms in enumerate((7.0, 9.0), start=1):
            decision = route(model, NOW_S + number - 0.5, batch_size=4)
            model.at(NOW_S + number).record(decision, latency_ms=latency_ms)
        assert [
            (each.variant, each.size, each.decision.propensity, each.latency_ms, each.finished_s)
            for each in model.policy.observed
        ] == [("a", 4.0, 0.5, 7.0, NOW_S + 1), ("b", 4.0, 0.5, 9.0, NOW_S + 2)]
        assert {each.context.batch_size for each in model.policy.observed} == {4}

    def test_at_thousands_per_second_some_are_learned_from_and_the_policy_observes_all(self, make_model):
        model = make_model("a")
        for number in range(4_000):
            now_s = NOW_S + number / 2_000.0
            decision = route(model, now_s)
            model.at(now_s + 0.0004).record(decision, latency_ms=0.4 if number < 3_000 else 0.2)
        state = model.state("a")
        assert len(model.policy.observed) == state.answers == 4_000
        # All variants are known after half a second.
        assert state.profile.latency.predict(1.0, now_s) == pytest.approx(0.2, rel=0.01)

    def test_policies_see_what_rare_slow_answers_add_until_they_are_forgotten(self, make_model):
        model = make_model("a", learned_ms={"a": 10.0}, observations=100)
        state, seconds = model.state("a"), itertools.count(NOW_S)

        def serve(latency_ms: float) -> float:
            now_s = next(seconds)
            decision = route(model, now_s)
            model.at(now_s + latency_ms / 1e3).record(decision, latency_ms=latency_ms)
            return state.candidate.excess

        seen = [serve(300.0 if number % 20 == 0 else 10.0) for number in range(100)]
        assert seen[0] == 0.0 < seen[-1] == state.profile.latency.excess.value
        assert state.candidate.excess_variance == state.profile.latency.excess.variance > 0.0
        for _ in range(1500):
            serve(10.0)
        assert state.profile.latency.excess is None
        assert (state.candidate.excess, state.candidate.excess_variance) == (0.0, 0.0)

    @pytest.mark.parametrize(
        ("end", "outcome"),
        [
            ({"latency_ms": 7.0, "fault": Fault.ERROR}, Outcome.FAILURE),
            ({"fault": Fault.DEAD}, Outcome.FAILURE),
            ({"fault": Fault.NOT_READY}, Outcome.IGNORED),
            ({}, Outcome.IGNORED),
            ({"latency_ms": math.nan}, Outcome.SUCCESS),
            ({"latency_ms": 0.0}, Outcome.SUCCESS),
        ],
    )
    def test_the_policy_observes_other_ends_without_a_latency(self, make_model, end, outcome):
        model = make_model("a")
        decision = route(model)
        recorded = model.at(NOW_S + 1).record(decision, **end)
        assert model.policy.observed == [recorded]
        assert recorded[1:] == (outcome, NOW_S + 1, None, None, end.get("fault"))

    def test_an_attempt_that_is_released_lets_the_next_one_start(self, make_model):
        model = make_model("a")
        failed, waiting = route(model), route(model)
        model.at(NOW_S + 0.5).release(failed)
        (place,) = model.state("a").load.running
        assert (place, place.started_s) == (waiting.take_place(), NOW_S + 0.5)
        assert model.conclude(failed, Fault.ERROR, blamed=True).finished_s == NOW_S + 0.5

    def test_recording_twice_is_observed_once(self, make_model):
        model = make_model("a")
        decision = route(model)
        ends = [model.at(NOW_S + 1).record(decision, latency_ms=7.0) for _ in range(2)]
        assert model.policy.observed == ends[:1]
        assert ends[1] is None

    def test_recording_twice_does_nothing_the_second_time(self, make_model):
        model = make_model("a")
        decision = route(model)
        other = route(model)
        model.at(NOW_S + 0.007).record(decision, latency_ms=7.0)
        model.at(NOW_S + 0.9).record(decision, latency_ms=900.0)
        model.record(decision, fault=Fault.DEAD)
        state = model.state("a")
        assert state.load.in_flight == 1
        assert (state.answers, state.failures) == (1, 0)
        assert state.profile.latency.first.predict(1.0) == pytest.approx(7.0)
        assert state.breaker.state is BreakerState.CLOSED
        model.at(NOW_S + 1.0).record(other)

    def test_a_decision_dropped_unrecorded_gives_its_place_back(self, make_model):
        model = make_model("a")
        kept, dropped = route(model), route(model)
        assert model.states["a"].load.in_flight == 2
        del dropped
        gc.collect()
        third = route(model)
        assert model.states["a"].load.in_flight == 2
        assert model.states["a"].answers == 0
        for decision in (kept, third):
            model.record(decision)

    def test_a_recorded_decision_gives_its_place_back_only_once(self, make_model):
        model = make_model("a")
        decision = route(model)
        model.at(NOW_S + 0.007).record(decision, latency_ms=7.0)
        del decision
        gc.collect()
        last = route(model)
        assert model.states["a"].load.in_flight == 1
        model.record(last)
