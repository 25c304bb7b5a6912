import gc
import math

import pytest

from router_backend.baselines.static import StaticPolicy
from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.choosing.filters import BREAKER_OPEN_DEAD
from router_backend.core.learning.interval import ConformalInterval
from router_backend.core.records.basis import Basis
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.health import BreakerState
from router_backend.core.variants.state import VariantState
from router_backend.errors import ConfigurationError, DeadlineError, InvalidRequestError, NoVariantError
from tests.unit.core.conftest import NOW_S, ClockedModel


def route(model: ClockedModel, now_s: float = NOW_S, **context: object) -> RoutingDecision:
    return model.at(now_s).route(RoutingContext(**context))


def only(*names: str) -> frozenset[str]:
    return frozenset(names)


def fail(model: ClockedModel, name: str, fault: Fault, times: int, now_s: float = NOW_S) -> None:
    """Let the variant fail a number of requests in a row, at the same time."""
    decisions = [route(model, now_s, allowed_variants=only(name)) for _ in range(times)]
    for decision in decisions:
        model.record(decision, fault=fault)


def reasons(decision: RoutingDecision) -> dict[str, str | None]:
    return {candidate.variant: candidate.reason_out for candidate in decision.candidates}


class TestFilters:
    def test_every_rejected_variant_has_a_reason(self, make_model):
        model = make_model(
            "chosen",
            "excluded",
            "failing",
            "not_ready",
            variants=[Variant("small", Device.CPU, max_batch_size=4)],
            learned_ms={"failing": 1.0},
        )
        model.states["not_ready"].not_ready_reason = "its provider is missing"
        fail(model, "failing", Fault.ERROR, times=2)
        decision = route(model, batch_size=5, excluded_variants=only("excluded"))
        assert decision.variant == "chosen"
        assert model.policy.seen == ["chosen"]
        assert reasons(decision) == {
            "chosen": None,
            "small": "batch 5 is above its maximum 4",
            "excluded": "excluded from this request",
            "failing": "breaker open after failures",
            "not_ready": "its provider is missing",
        }

    def test_only_the_allowed_variants_are_candidates(self, make_model):
        model = make_model("a", "b", "c")
        decision = route(model, allowed_variants=only("b", "c"))
        assert model.policy.seen == ["b", "c"]
        assert reasons(decision)["a"] == "not among the allowed variants"

    def test_a_batch_of_its_maximum_is_not_above_it(self, make_model):
        model = make_model(variants=[Variant("small", Device.CPU, max_batch_size=4)])
        assert route(model, batch_size=4).variant == "small"

    def test_only_variants_on_the_allowed_devices_are_candidates(self, make_model):
        model = make_model("cpu", variants=[Variant("gpu", Device.GPU)])
        decision = route(model, allowed_devices=frozenset({Device.GPU}))
        assert model.policy.seen == ["gpu"]
        assert reasons(decision)["cpu"] == "not on an allowed device"

    def test_a_variant_that_takes_no_batches_is_not_judged_by_the_batch(self, make_model):
        assert route(make_model("unbatched"), batch_size=1000).variant == "unbatched"


class TestNobody:
    def test_when_every_variant_is_rejected_the_error_lists_each_with_its_reason(self, make_model):
        model = make_model("dead", "excluded", "not_ready", learned_ms={"dead": 1.0})
        model.states["not_ready"].not_ready_reason = "its provider is missing"
        fail(model, "dead", Fault.DEAD, times=1)
        with pytest.raises(NoVariantError) as error:
            route(model, excluded_variants=only("excluded"))
        assert str(error.value) == (
            "model 'resnet50': no variant can serve this request now (dead: breaker open: its process has "
            "ended, load the model again; "
            "excluded: excluded from this request; not_ready: its provider is missing)"
        )

    @pytest.mark.parametrize(
        "allowed",
        [
            {"allowed_devices": frozenset({Device.MPS, Device.NEURAL_ENGINE})},
            {"allowed_devices": frozenset({Device.GPU}), "allowed_variants": only("m_cpu")},
            {"allowed_variants": only()},
        ],
    )
    def test_a_request_that_allows_no_variant_is_invalid_and_is_told_what_there_is(self, make_model, allowed):
        model = make_model("m_cpu", variants=[Variant("m_gpu", Device.GPU)])
        model.states["m_gpu"].not_ready_reason = "still loading"
        with pytest.raises(InvalidRequestError) as error:
            route(model, **allowed)
        assert str(error.value) == (
            "model 'resnet50': the request allows none of its variants, which are m_gpu on gpu, "
            "m_cpu on cpu: allow one of them and its device"
        )

    def test_a_device_whose_variants_are_out_now_is_no_error_of_the_client(self, make_model):
        model = make_model("cpu", variants=[Variant("gpu", Device.GPU)])
        model.states["gpu"].not_ready_reason = "still loading"
        with pytest.raises(NoVariantError, match="gpu: still loading"):
            route(model, allowed_devices=frozenset({Device.GPU, Device.MPS}))

    def test_an_allowed_variant_that_the_model_lacks_is_an_invalid_request(self, make_model):
        with pytest.raises(InvalidRequestError) as error:
            route(make_model("a", "b"), allowed_variants=only("a", "c"))
        assert str(error.value) == "model 'resnet50' has no variant 'c': expected one of a, b"

    def test_a_batch_above_every_allowed_maximum_is_an_invalid_request(self, make_model):
        sizes = {"small": 4, "large": 32}
        model = make_model(variants=[Variant(n, Device.CPU, max_batch_size=s) for n, s in sizes.items()])
        with pytest.raises(InvalidRequestError, match=r"a batch of 5 is above the largest .*, 4: send"):
            route(model, batch_size=5, allowed_variants=only("small"))

    def test_a_batch_above_every_maximum_is_an_invalid_request_and_names_the_largest(self, make_model):
        sizes = {"small": 4, "large": 32}
        model = make_model(variants=[Variant(n, Device.CPU, max_batch_size=s) for n, s in sizes.items()])
        model.states["large"].not_ready_reason = "still loading"
        with pytest.raises(InvalidRequestError) as error:
            route(model, batch_size=33)
        assert str(error.value) == (
            "model 'resnet50': a batch of 33 is above the largest that a variant takes, 32: "
            "send smaller batches"
        )

    def test_a_batch_that_only_an_unavailable_variant_takes_is_a_valid_request(self, make_model):
        sizes = {"small": 4, "large": 32}
        model = make_model(variants=[Variant(n, Device.CPU, max_batch_size=s) for n, s in sizes.items()])
        model.states["large"].not_ready_reason = "still loading"
        with pytest.raises(
            NoVariantError, match=r"small: batch 32 is above its maximum 4; large: still loading"
        ):
            route(model, batch_size=32)

    def test_an_error_takes_no_place_in_flight(self, make_model):
        model = make_model("a")
        with pytest.raises(NoVariantError):
            route(model, excluded_variants=only("a"))
        assert model.states["a"].load.in_flight == 0


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
            pass  # requests that other variants serve
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
            pass
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

    def test_known_variants_need_none(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 12.0}, copies=True)
        route(model)
        assert model.copy_of(RoutingContext()) is None

    def test_a_variant_that_may_be_well_again_gets_one(self, make_model):
        model, usual = TestSlowVariants().slowed(make_model, copies=True)
        model.record(route(model, usual.retry_s - 0.001))
        assert model.copy_of(RoutingContext()) is None
        decision = route(model, usual.retry_s)
        assert decision.variant == "other", "no client pays for the trial"
        copied = model.copy_of(RoutingContext())
        assert copied is not None
        assert (copied.allowed_variants, copied.warmup) == (only("fast"), True)


def test_a_policy_for_an_unknown_variant_is_refused_with_the_known_ones(make_model):
    model = make_model("a", "b")
    with pytest.raises(ConfigurationError, match="expected 'static:' and one of a, b, found 'static:c'"):
        model.set_policy(StaticPolicy("c"))
    assert route(model).policy == "shortest"


class TestDeadline:
    def test_candidates_that_fit_it_come_first(self, make_model):
        model = make_model("wanted", "fast", learned_ms={"wanted": 12.0, "fast": 10.0})
        model.policy.wanted = "wanted"
        assert route(model, max_latency_ms=12.1).variant == "wanted"
        in_time = route(model, max_latency_ms=11.9)
        assert in_time.variant == "fast"
        assert reasons(in_time) == {"fast": None, "wanted": "would be late"}

    @pytest.mark.parametrize("max_latency_ms", [5.0, 0.0, -3.0])
    def test_if_none_fits_it_all_may_serve(self, make_model, max_latency_ms):
        model = make_model("slow", "slower", learned_ms={"slow": 10.0, "slower": 20.0})
        decision = route(model, max_latency_ms=max_latency_ms)
        assert decision.variant == "slow"
        assert reasons(decision) == {"slow": None, "slower": None}

    def test_late_requests_are_refused_if_configured_with_the_earliest_answer(self, make_model):
        settings = ModelSettings(refuse_late=True)
        model = make_model("slow", "slower", learned_ms={"slow": 10.0, "slower": 20.0}, settings=settings)
        with pytest.raises(DeadlineError, match="within 4 ms, the soonest is expected in 10"):
            route(model, max_latency_ms=4.0)
        assert all(state.load.in_flight == 0 for state in model.states.values())
        assert route(model, max_latency_ms=50.0).variant == "slow"

    @pytest.mark.parametrize("configured", [False, True])
    def test_a_request_can_state_whether_it_is_refused_when_late(self, make_model, configured):
        settings = ModelSettings(refuse_late=configured)
        model = make_model("slow", "slower", learned_ms={"slow": 10.0, "slower": 20.0}, settings=settings)
        assert route(model, max_latency_ms=4.0, refuse_late=False).variant == "slow"
        with pytest.raises(DeadlineError):
            route(model, max_latency_ms=4.0, refuse_late=True)

    def test_time_spent_reduces_the_deadline_of_request_and_model(self, make_model):
        settings = ModelSettings(max_latency_ms=30.0, refuse_late=True)
        model = make_model("slow", learned_ms={"slow": 10.0}, settings=settings)
        assert route(model, spent_ms=15.0).deadline_ms == 15.0
        assert route(model, spent_ms=15.0, max_latency_ms=60.0).deadline_ms == 45.0
        assert route(model, max_latency_ms=60.0).deadline_ms == 60.0
        with pytest.raises(DeadlineError, match="no variant can answer within 0 ms"):
            route(model, spent_ms=35.0)

    def test_before_a_refusal_an_idle_variant_is_tried_with_one_request_at_a_time(self, make_model):
        settings = ModelSettings(refuse_late=True)
        model = make_model("slow", "slower", learned_ms={"slow": 10.0, "slower": 30.0}, settings=settings)
        tried = route(model, max_latency_ms=9.5)
        assert reasons(tried) == {"slow": None, "slower": "would be late"}
        with pytest.raises(DeadlineError):
            route(model, max_latency_ms=9.5)

    def test_a_variant_that_was_measured_far_too_slow_is_eventually_tried_again(self, make_model):
        model = make_model("a", learned_ms={"a": 90.0}, settings=ModelSettings(refuse_late=True))
        for _ in range(VariantState.REFUSALS_BEFORE_RETRIAL):
            with pytest.raises(DeadlineError):
                route(model, max_latency_ms=20.0)
        again = route(model, max_latency_ms=20.0)
        with pytest.raises(DeadlineError):
            route(model, max_latency_ms=20.0)  # while it is tried
        model.record(again)
        with pytest.raises(DeadlineError):
            route(model, max_latency_ms=20.0)

    def test_a_variant_that_was_never_measured_is_tried_before_a_request_is_refused(self, make_model):
        settings = ModelSettings(refuse_late=True)
        model = make_model("unknown", "slow", learned_ms={"slow": 90.0}, settings=settings)
        assert route(model, max_latency_ms=20.0).variant == "unknown"


class TestBreakers:
    def test_when_all_are_open_a_failing_variant_is_better_than_no_answer(self, make_model):
        model = make_model("a", "b", "dead", learned_ms={"a": 10.0, "b": 20.0, "dead": 1.0})
        fail(model, "dead", Fault.DEAD, times=1)
        for name in ("a", "b"):
            fail(model, name, Fault.ERROR, times=2)
        decision = route(model, NOW_S + 0.1)
        assert decision.variant == "a"
        assert reasons(decision) == {
            "a": None,
            "b": None,
            "dead": BREAKER_OPEN_DEAD,
        }

    def test_a_dead_process_is_never_a_last_resort(self, make_model):
        model = make_model("dead", learned_ms={"dead": 1.0})
        fail(model, "dead", Fault.DEAD, times=1)
        with pytest.raises(NoVariantError, match="dead: breaker open: its process has ended"):
            route(model, NOW_S + 4.9)
        assert route(model, NOW_S + 5.0).variant == "dead"

    def test_a_failing_variant_is_no_last_resort_for_a_request_that_excludes_it(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 10.0})
        for name in ("a", "b"):
            fail(model, name, Fault.ERROR, times=2)
        assert route(model, NOW_S + 0.1, excluded_variants=only("a")).variant == "b"
        with pytest.raises(NoVariantError):
            route(model, NOW_S + 0.1, excluded_variants=only("a", "b"))

    def test_one_probe_alone_passes_after_the_open_time_while_another_variant_serves(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 1.0, "b": 50.0})
        fail(model, "a", Fault.ERROR, times=2)
        later_s = NOW_S + 0.3
        probe = route(model, later_s)
        assert [probe.variant, route(model, later_s).variant] == ["a", "b"]
        model.at(later_s + 0.001).record(probe, latency_ms=1.0)
        assert route(model, later_s + 0.001).variant == "a"

    def test_a_probe_that_is_dropped_unrecorded_lets_another_one_pass(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 1.0, "b": 50.0})
        fail(model, "a", Fault.ERROR, times=2)
        later_s = NOW_S + 0.3
        probe = route(model, later_s)
        del probe
        gc.collect()
        assert route(model, later_s).variant == "a"


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


class TestSize:
    def test_without_elements_it_is_the_batch(self, make_model):
        assert route(make_model("a"), batch_size=8).size == 8.0

    def test_elements_are_counted_in_items_of_the_first_request(self, make_model):
        model = make_model("a")
        sizes = [
            route(model, batch_size=batch_size, elements=elements).size
            for batch_size, elements in ((2, 200), (1, 100), (8, 800), (1, 350))
        ]
        assert sizes == [2.0, 1.0, 8.0, 3.5]

    def test_a_request_without_elements_counts_by_its_batch(self, make_model):
        assert route(make_model("a"), batch_size=4, elements=0).size == 4.0
