"""How a model tries variants that are unknown or were slow."""

import math

import pytest

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.learning.interval import ConformalInterval
from router_backend.core.records.basis import Basis
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from tests.unit.core.conftest import NOW_S
from tests.unit.core.model.requests import fail, only, route


def bases(decision: RoutingDecision) -> dict[str, Basis | None]:
    return {candidate.variant: candidate.basis for candidate in decision.candidates}


class TestUnknownVariants:
    """How fast they are assumed to be is tested in choosing/test_cold_start.py."""

    def test_they_are_tried_one_at_a_time_before_the_known_one(self, make_model):
        model = make_model("known", "new", "newer", learned_ms={"known": 10.0})
        chosen = []
        for number in range(6):
            now_s = NOW_S + 0.02 * number
            first, second = route(model, now_s, batch_size=1), route(model, now_s)
            chosen.append((first.variant, second.variant))
            model.record(second)
            latency_ms = 10.0 if first.variant == "known" else 19.0
            model.at(now_s + latency_ms / 1e3).record(first, latency_ms=latency_ms)
        assert chosen[:4] == [("new", "known"), ("new", "known"), ("newer", "known"), ("newer", "known")]
        assert {first for first, _ in chosen[4:]} == {"known"}
        assert [state.profile.latency.known for state in model.states.values()] == [True] * 3

    def test_small_requests_try_them_first(self, make_model):
        model = make_model("known", variants=[Variant("new", Device.CPU)], learned_ms={"known": 10.0})
        model.record(route(model, batch_size=2))
        assert route(model, batch_size=32).variant == "known"
        assert route(model, batch_size=1).variant == "new"

    def test_one_that_serves_several_at_once_still_gets_a_single_request(self, make_model):
        model = make_model("known", variants=[Variant("new", Device.CPU, 8)], learned_ms={"known": 10.0})
        decisions = [route(model) for _ in range(2)]
        assert [decision.variant for decision in decisions] == ["new", "known"]

    def test_they_count_as_twice_as_fast_as_the_best_known_one(self, make_model):
        model = make_model("known", "best", "new", learned_ms={"known": 10.0, "best": 8.0})
        decision = route(model)
        assert decision.variant == "new"
        assert decision.expected_latency_ms == pytest.approx(4.0)

    def test_when_nothing_is_known_they_take_turns(self, make_model):
        model = make_model("a", "b", "c")
        decisions = [route(model) for _ in range(6)]
        assert [decision.variant for decision in decisions] == ["a", "b", "c"] * 2
        assert all(decision.expected_latency_ms > 0.0 for decision in decisions)

    def test_two_answers_make_a_variant_known(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0})
        seen = []
        for number in range(2):
            trial = route(model, NOW_S + number)
            seen.append((trial.variant, trial.basis, bases(trial)))
            model.at(NOW_S + number + 0.02).record(trial, latency_ms=20.0)
        guess = ("b", Basis.GUESS, {"a": Basis.MEASURED, "b": Basis.GUESS})
        assert seen == [guess, guess]
        decision = route(model, NOW_S + 1.1)
        assert decision.variant == "a"
        expected = {candidate.variant: candidate.expected_latency_ms for candidate in decision.candidates}
        assert expected == pytest.approx({"a": 10.0, "b": 20.0})
        assert set(bases(decision).values()) == {Basis.MEASURED}

    def test_a_guess_is_no_prediction_in_the_decision(self, make_model):
        decision = route(make_model("a", "b", learned_ms={"a": 10.0}))
        expected = {candidate.variant: candidate.expected_latency_ms for candidate in decision.candidates}
        assert expected == {"a": pytest.approx(10.0), "b": None}
        assert decision.confidence == 0.0
        assert decision.reason.startswith("b: ") or "not measured yet" in decision.reason
        assert "expected in" not in decision.reason

    def test_what_was_guessed_does_not_widen_the_interval(self, make_model):
        model = make_model("a")
        for number in range(3):
            decision = route(model, NOW_S + number)
            model.at(NOW_S + number + 0.02).record(decision, latency_ms=20.0)
        learned = ConformalInterval(0.9)
        learned.update(0.0)
        assert model.state("a").profile.interval.get() == pytest.approx(learned.get())

    def test_a_first_call_that_is_slow_does_not_write_a_variant_off(self, make_model):
        """200 ms, then 2 ms, beside a steady 10 ms."""
        model = make_model("steady", "lazy", learned_ms={"steady": 10.0})
        chosen = []
        for number in range(10):
            decision = route(model, NOW_S + number)
            chosen.append(decision.variant)
            slow_ms = 200.0 if chosen.count("lazy") == 1 else 2.0
            latency_ms = slow_ms if decision.variant == "lazy" else 10.0
            model.at(NOW_S + number + latency_ms / 1e3).record(decision, latency_ms=latency_ms)
        assert chosen.count("steady") <= 3
        assert chosen[-5:] == ["lazy"] * 5


class TestSlowVariants:
    """A variant of 10 ms beside one of 50 ms takes 100 ms from second 200 on."""

    def slowed(self, make_model, **arguments):
        model = make_model("fast", "other", learned_ms={"fast": 10.0, "other": 50.0}, **arguments)
        now_s = 200.0
        while model.states["fast"].profile.latency.usual is None or now_s < 201.0:
            decision = route(model, now_s, allowed_variants=only("fast"))
            now_s += 0.1
            model.at(now_s).record(decision, latency_ms=100.0)
        usual = model.states["fast"].profile.latency.usual
        while not usual.is_due(math.inf):
            usual.passed()  # requests that other variants serve
        return model, usual

    def test_the_request_after_the_backoff_is_predicted_by_the_usual_law(self, make_model):
        model, usual = self.slowed(make_model)
        early = route(model, usual.retry_s - 0.001)
        assert early.variant == "other"
        model.record(early)
        trial = route(model, usual.retry_s)
        assert (trial.variant, trial.basis) == ("fast", Basis.MEASURED)
        assert trial.expected_service_ms == pytest.approx(usual.predict(1.0))
        assert route(model, usual.retry_s).variant == "other", "one at a time"

    def test_one_that_is_well_is_back_after_one_answer(self, make_model):
        model, usual = self.slowed(make_model)
        trial = route(model, usual.retry_s)
        model.at(usual.retry_s + 0.01).record(trial, latency_ms=10.0)
        assert model.states["fast"].profile.latency.usual is None
        assert route(model, usual.retry_s + 0.01).variant == "fast"

    def test_one_that_is_still_slow_waits_for_the_next_backoff(self, make_model):
        model, usual = self.slowed(make_model)
        trial = route(model, usual.retry_s)
        answered_s = usual.retry_s + 0.1
        model.at(answered_s).record(trial, latency_ms=100.0)
        assert usual.retry_s > answered_s
        assert route(model, answered_s).variant == "other"
        assert route(model, usual.retry_s).variant == "other", "too few requests since the last trial"
        while not usual.is_due(usual.retry_s):
            usual.passed()
        assert route(model, usual.retry_s).variant == "fast"


class TestCopies:
    """What a host sends after an answer, which no client waits for."""

    def test_there_are_none_unless_the_host_sends_them(self, make_model):
        model = make_model("known", "new", learned_ms={"known": 10.0})
        decision = route(model)
        assert decision.variant == "new"
        model.record(decision)
        assert model.copy_of(RoutingContext()) is None

    def test_they_try_unknown_variants_so_that_requests_need_not(self, make_model):
        model = make_model("known", "new", learned_ms={"known": 10.0}, copies=True)
        context = RoutingContext(
            batch_size=4, max_latency_ms=1.0, refuse_late=True, excluded_variants=only("known")
        )
        assert route(model).variant == "known"
        copied = model.copy_of(context)
        assert copied == RoutingContext(
            batch_size=4, max_latency_ms=None, refuse_late=False, allowed_variants=only("new"), warmup=True
        )
        assert model.route(copied).variant == "new"

    def test_each_variant_gets_them_after_pauses_that_double(self, make_model):
        model = make_model("new", copies=True)
        asked_s = [
            number / 100
            for number in range(100)
            if model.at(number / 100).copy_of(RoutingContext()) is not None
        ]
        assert asked_s == pytest.approx([0.0, 0.05, 0.15, 0.35, 0.75], abs=0.011)

    def test_one_that_would_be_late_gets_one_after_a_hundred_requests_and_then_two_hundred(self, make_model):
        model = make_model("timely", "late", learned_ms={"timely": 10.0, "late": 200.0}, copies=True)
        copied_at = []
        for number in range(1, 400):
            model.at(NOW_S + number)
            model.record(route(model, NOW_S + number, max_latency_ms=50.0), latency_ms=10.0)
            copy = model.copy_of(RoutingContext())
            if copy is not None:
                copied_at.append((number, copy.allowed_variants))
        assert copied_at == [(100, only("late")), (300, only("late"))]

    def test_a_request_tries_a_variant_that_no_copy_has_measured_for_two_seconds(self, make_model):
        model, usual = TestSlowVariants().slowed(make_model, copies=True)
        early = route(model, usual.retry_s + 1.99)
        model.record(early)
        assert early.variant == "other"
        assert route(model, usual.retry_s + 2.01).variant == "fast"

    def test_a_busy_variant_gets_none(self, make_model):
        model = make_model("known", "new", learned_ms={"known": 10.0}, copies=True)
        route(model)
        held = model.route(model.copy_of(RoutingContext()))
        route(model)
        assert model.copy_of(RoutingContext()) is None
        assert held.variant == "new"

    def test_a_variant_that_cannot_take_the_request_gets_none(self, make_model):
        small = Variant("small", Device.CPU, max_batch_size=4)
        model = make_model("known", variants=[small], learned_ms={"known": 10.0}, copies=True)
        route(model)
        assert model.copy_of(RoutingContext(batch_size=8)) is None
        route(model)
        assert model.copy_of(RoutingContext(batch_size=4)) is not None
        route(model)
        assert model.copy_of(RoutingContext(allowed_variants=only("known"))) is None

    def test_a_variant_gets_none_while_its_breaker_is_open(self, make_model):
        model = make_model("known", "new", learned_ms={"known": 10.0}, copies=True)
        fail(model, "new", Fault.ERROR, times=2)
        assert model.at(NOW_S + 0.1).copy_of(RoutingContext()) is None
        assert model.at(NOW_S + 1.0).copy_of(RoutingContext()).allowed_variants == only("new")

    def test_known_variants_need_none(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 12.0}, copies=True)
        route(model)
        assert model.copy_of(RoutingContext()) is None

    def test_they_are_wanted_until_each_variant_has_eight_answers(self, make_model):
        model, wanted = make_model("a", copies=True), []
        for number in range(10):
            wanted.append(model.wants_copy)
            decision = route(model, NOW_S + number)
            model.at(NOW_S + number + 0.01).record(decision, latency_ms=10.0)
        assert wanted == [True] * 8 + [False] * 2

    def test_a_variant_that_may_be_well_again_gets_one(self, make_model):
        model, usual = TestSlowVariants().slowed(make_model, copies=True)
        model.record(route(model, usual.retry_s - 0.001))
        assert model.copy_of(RoutingContext()) is None
        decision = route(model, usual.retry_s)
        assert decision.variant == "other", "no client pays for the trial"
        copied = model.copy_of(RoutingContext())
        assert copied is not None
        assert (copied.allowed_variants, copied.warmup) == (only("fast"), True)

    def test_none_is_wanted_for_variants_that_cannot_take_requests(self, make_model):
        stated = ModelCharacteristics("unsuitable", supports_gpu=False)
        unsuitable = Variant("unsuitable", Device.GPU, characteristics=stated)
        model = make_model("known", "absent", variants=[unsuitable], learned_ms={"known": 10.0}, copies=True)
        assert model.wants_copy
        for _ in range(8):
            model.record(route(model), latency_ms=10.0)
        assert model.wants_copy, "for the absent one, which may be there"
        model.set_ready("absent", "not loaded")
        assert not model.wants_copy
        model.set_ready("absent", None)
        assert model.wants_copy
        attempt = model.route(RoutingContext(allowed_variants=only("absent")))
        model.record(attempt, fault=Fault.NOT_READY)
        assert not model.wants_copy
