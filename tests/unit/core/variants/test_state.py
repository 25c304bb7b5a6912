import math

import pytest

from router_backend.core.learning.failure_share import FailureShare
from router_backend.core.records.basis import Basis
from router_backend.core.records.outcome import Fault
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.health import BreakerState
from router_backend.core.variants.load import Place
from router_backend.core.variants.state import VariantState
from tests.unit.core.candidates import request_of


def state_of(concurrency: int = 1, max_batch_size: int = 0) -> VariantState:
    return VariantState(Variant("v", Device.CPU, concurrency, max_batch_size), coverage=0.9)


def send(state: VariantState, now_s: float) -> Place:
    """Send a request for which 10 ms are predicted."""
    state.candidate.service_ms = 10.0
    return state.dispatch(now_s)


def succeed(
    state: VariantState, place: Place, size: float, expected_ms: float, latency_ms: float, now_s: float
) -> bool:
    """Answer the request of this place; return whether it was learned from."""
    service_ms = state.answered(place, latency_ms, now_s)
    return service_ms is not None and state.profile.learn(size, service_ms, expected_ms, latency_ms, now_s)


def answer(state: VariantState, place: Place, latency_ms: float, size: float = 1.0) -> None:
    """Answer the request of this place, predicted as 10 ms, after `latency_ms`."""
    succeed(state, place, size, 10.0, latency_ms, place.dispatched_s + latency_ms / 1e3)


def known(concurrency: int = 1) -> VariantState:
    """Return a variant that has answered ten requests in 10 ms each, the last at second -1."""
    state = state_of(concurrency)
    for i in range(10):
        answer(state, send(state, i - 10.0), latency_ms=10.0)
    return state


def learned_ms(state: VariantState) -> float:
    """Return the service time of the first answer, or the prediction after more."""
    latency = state.profile.latency
    return latency.predict(1.0, latency.updated_s) if latency.known else latency.first.predict(1.0)


class TestServiceTime:
    def test_the_service_time_of_a_lone_request_is_its_latency(self):
        state = state_of()
        answer(state, send(state, 1.0), latency_ms=14.0)
        assert learned_ms(state) == pytest.approx(14.0)

    def test_the_wait_behind_another_request_is_not_service(self):
        state = state_of()
        first = send(state, 1.000)
        second = send(state, 1.004)
        answer(state, first, latency_ms=10.0)
        answer(state, second, latency_ms=16.0)  # sent at 4, first left at 10, answered at 20
        assert learned_ms(state) == pytest.approx(10.0)

    def test_a_departure_that_is_not_learned_from_also_ends_the_wait(self):
        state = state_of()
        first = send(state, 1.000)
        second = send(state, 1.004)
        state.released(first, now_s=1.006)
        answer(state, second, latency_ms=9.0)
        assert learned_ms(state) == pytest.approx(7.0)

    def test_with_two_instances_only_the_third_request_waits(self):
        state = state_of(concurrency=2)
        first, second, third = (send(state, 1.0) for _ in range(3))
        answer(state, first, latency_ms=10.0)
        answer(state, second, latency_ms=10.0)
        answer(state, third, latency_ms=20.0)
        assert learned_ms(state) == pytest.approx(10.0)

    def test_an_answer_that_overtook_the_queue_did_not_wait_in_it(self):
        state = state_of()
        send(state, 1.0)
        second = send(state, 1.0)
        answer(state, second, latency_ms=8.0)
        assert learned_ms(state) == pytest.approx(8.0)

    def test_a_departure_recorded_late_does_not_lengthen_the_next_service(self):
        """The second request was sent after the first had ended, but before that was recorded."""
        state = state_of()
        first = send(state, 1.000)
        second = send(state, 1.012)
        state.released(first, now_s=1.010)
        answer(state, second, latency_ms=7.0)
        assert learned_ms(state) == pytest.approx(7.0)


class TestPrediction:
    def test_nothing_is_known_of_a_new_variant(self):
        state = state_of()
        candidate = state.predict(1.0, request_of(now_s=5.0))
        assert not state.profile.latency.known
        assert (candidate.service_ms, candidate.wait_ms, candidate.utilization) == (0.0, 0.0, 0.0)
        assert (candidate.power_w, candidate.memory_mb) == (state.variant.assumed_power_w, None)

    def test_it_combines_service_wait_and_utilization(self):
        state = state_of()
        for sent_s in (0.990, 1.000):
            answer(state, send(state, sent_s), latency_ms=10.0)
        send(state, 1.010)
        candidate = state.predict(1.0, request_of(now_s=1.014))
        assert candidate.service_ms == pytest.approx(10.0)
        assert candidate.wait_ms == pytest.approx(6.0)
        assert candidate.latency_ms == pytest.approx(16.0)
        assert candidate.utilization == pytest.approx(30.0 / 2000.0, rel=0.01)

    def test_the_variance_is_that_of_a_share_of_the_predicted_service_time(self):
        state = state_of()
        assert state.predict(8.0, request_of(now_s=0.0)).variance == 1.0
        for i in range(100):
            answer(state, send(state, float(i)), latency_ms=10.0)
        assert 0.0 < state.predict(8.0, request_of(now_s=99.0)).variance < 0.08**2

    def test_power_and_memory_are_those_of_the_size(self):
        state = state_of()
        for size in (1.0, 2.0, 4.0) * 10:
            state.profile.learn_resources(size, 100.0 * size, 10.0 * size)
        candidate = state.predict(3.0, request_of(now_s=1.0))
        assert candidate.memory_mb == pytest.approx(300.0, rel=0.05)
        assert candidate.power_w == pytest.approx(30.0, rel=0.05)


class TestCandidate:
    def test_counts_requests_in_flight_until_they_end(self):
        state = state_of()
        first, second = send(state, 1.0), send(state, 1.0)
        assert state.candidate.in_flight == 2
        answer(state, first, latency_ms=10.0)
        assert state.candidate.in_flight == 1
        state.released(second, now_s=1.1)
        assert state.candidate.in_flight == 0

    def test_has_the_mean_service_time_of_the_requests_sent(self):
        state = state_of()
        assert state.candidate.mean_service_ms == 0.0
        send(state, 1.0)
        assert state.candidate.mean_service_ms == 10.0

    def test_has_the_share_of_the_requests_that_failed_of_late(self):
        """The answers before the first failure count, four pseudo-answers too, and all fade by a 64th."""
        state, share = state_of(), FailureShare(answers=1)
        answer(state, send(state, 1.0), latency_ms=10.0)
        assert (state.candidate.failure_share, state.candidate.trial_share) == (0.0, 0.0)
        state.failed(Fault.ERROR, now_s=2.0)
        share.update(failed=True)
        assert state.candidate.failure_share == share.value == pytest.approx(1 / (1 + 63 / 64 + 4))
        assert state.candidate.trial_share == 1 / 40
        for second in (3.0, 4.0):
            answer(state, send(state, second), latency_ms=10.0)
            share.update(failed=False)
            assert (state.candidate.failure_share, state.candidate.trial_share) == (
                share.value,
                share.trial_share,
            )
        state.failed(Fault.DEAD, now_s=5.0)
        share.update(failed=True)
        assert state.candidate.failure_share == share.value

    def test_an_implausible_answer_is_no_failure(self):
        state, share = state_of(), FailureShare()
        state.failed(Fault.ERROR, now_s=2.0)
        share.update(failed=True)
        succeed(state, send(state, 3.0), 1.0, 10.0, math.nan, now_s=3.010)
        share.update(failed=False)
        assert state.candidate.failure_share == share.value


class TestBasis:
    def test_it_is_a_guess_until_the_second_answer(self):
        state, bases = state_of(), []
        for second in range(3):
            state.predict(1.0, request_of(now_s=float(second)))
            bases.append(state.basis)
            answer(state, send(state, float(second)), latency_ms=10.0)
        assert bases == [Basis.GUESS, Basis.GUESS, Basis.MEASURED]

    def test_it_is_a_prior_if_there_is_one(self):
        variant = Variant("v", Device.CPU, suitability=Suitability(fixed_ms=2.0, per_item_ms=1.0))
        state = VariantState(variant, coverage=0.9)
        state.predict(1.0, request_of(now_s=0.0))
        assert state.basis is Basis.PRIOR
        for second in (0.0, 1.0):
            answer(state, send(state, second), latency_ms=10.0)
        assert state.basis is Basis.MEASURED

    def test_a_prediction_of_a_known_variant_is_measured(self):
        state = known()
        state.candidate.basis = Basis.GUESS
        assert state.predict(1.0, request_of(now_s=0.0)).basis is Basis.MEASURED


class TestShouldBeMeasured:
    def test_until_the_eighth_answer(self):
        state, wanted = state_of(), []
        for second in range(9):
            wanted.append(state.should_be_measured(float(second)))
            answer(state, send(state, float(second)), latency_ms=10.0)
        assert wanted == [True] * 8 + [False]

    def test_the_pause_after_a_copy_doubles_until_there_is_an_answer(self):
        state = state_of()
        for now_s in (0.0, 10.0):
            state.copied(now_s)
        assert (state.should_be_measured(10.09), state.should_be_measured(10.11)) == (False, True)
        answer(state, send(state, 20.0), latency_ms=10.0)
        state.copied(30.0)
        assert (state.should_be_measured(30.04), state.should_be_measured(30.06)) == (False, True)

    def test_when_it_may_be_well_after_a_slowdown(self):
        state = state_of()
        for second in range(50):
            answer(state, send(state, float(second)), latency_ms=10.0)
        assert not state.should_be_measured(1e6)
        for second in range(50, 60):
            answer(state, send(state, float(second)), latency_ms=100.0)
        usual = state.profile.latency.usual
        assert usual is not None
        assert not state.should_be_measured(usual.retry_s - 0.001)
        assert state.should_be_measured(usual.retry_s)
        answer(state, send(state, 70.0), latency_ms=10.0)
        assert not state.should_be_measured(1e6)


class TestLatencyWithTheBenefitOfTheDoubt:
    @staticmethod
    def optimistic_ms(state: VariantState, now_s: float = 0.0, variance: float = 0.04) -> float:
        """Return it for a variant of 10 ms, whose prediction has this relative variance."""
        state.predict(1.0, request_of(now_s=now_s)).variance = variance
        return state.optimistic_latency_ms(now_s)

    @pytest.mark.parametrize(("variance", "expected_ms"), [(0.0, 10.0), (0.04, 8.0), (0.25, 5.0), (1.0, 5.0)])
    def test_is_a_standard_deviation_less_at_most_half(self, variance, expected_ms):
        assert self.optimistic_ms(known(), variance=variance) == pytest.approx(expected_ms)

    def test_is_the_prediction_if_the_variant_is_busy(self):
        state = known()
        send(state, 0.0)
        assert self.optimistic_ms(state) == pytest.approx(10.0 + 10.0)

    def test_is_none_if_it_was_never_measured(self):
        assert self.optimistic_ms(state_of()) == 0.0

    def test_is_none_after_a_hundred_refused_requests_until_one_is_sent(self):
        state = known()
        state.refused_since_sent = 99
        assert self.optimistic_ms(state) > 0.0
        state.refused_since_sent = 100
        assert self.optimistic_ms(state) == 0.0
        state.released(send(state, 0.0), 0.0)
        assert self.optimistic_ms(state) > 0.0

    def test_is_none_if_requests_were_refused_and_none_answered_for_five_minutes(self):
        state = known()
        updated_s = state.profile.latency.updated_s
        assert self.optimistic_ms(state, updated_s + 1e6) > 0.0
        state.refused_since_sent = 1
        assert self.optimistic_ms(state, updated_s + 299.9) > 0.0
        assert self.optimistic_ms(state, updated_s + 300.0) == 0.0


class TestWaitOfNoisyVariants:
    @pytest.mark.parametrize(("sigma", "share"), [(0.0, 0.1), (0.4, 0.4), (2.0, 1.0)])
    def test_what_remains_of_an_overdue_request_grows_with_the_noise(self, sigma, share):
        """Sent 10 ms ago and predicted to take as long, it takes σ of that longer: a tenth to all of it."""
        state = known()
        state.profile.latency.change.variance = sigma**2
        send(state, 1.0)
        assert state.predict(1.0, request_of(now_s=1.010)).wait_ms == pytest.approx(share * 10.0)


class TestLatencyThatNoClockCanShow:
    @pytest.mark.parametrize("bad_ms", [math.nan, math.inf, -math.inf, -1e6, 0.0, 5e-324, 1e300])
    def test_it_frees_the_place_and_is_counted_and_changes_nothing_else(self, bad_ms):
        state, sound = state_of(), state_of()
        for each, latency_ms in ((state, bad_ms), (sound, None)):
            for i in range(10):
                answer(each, send(each, float(i)), latency_ms=10.0)
            first = send(each, 100.000)
            second = send(each, 100.001)
            if latency_ms is None:
                each.released(first, now_s=100.010)
            else:
                succeed(each, first, 1.0, 10.0, latency_ms, 100.010)
            assert each.load.wait_ms(100.014) == pytest.approx(6.0)
            answer(each, second, latency_ms=19.0)
        assert state.profile.latency.rejected == 1
        assert sound.profile.latency.rejected == 0
        assert state.load.in_flight == 0
        assert learned_ms(state) == learned_ms(sound)
        assert state.profile.interval.get() == sound.profile.interval.get()

    def test_a_latency_that_ends_in_the_future_does_not_block_the_queue(self):
        state = state_of()
        first = send(state, 1.0)
        send(state, 1.0)
        succeed(state, first, 1.0, 10.0, 1e10, now_s=1.010)
        assert state.load.wait_ms(1.014) == pytest.approx(6.0)


class TestFaultyClock:
    @pytest.mark.parametrize("elapsed_s", [0.0, -1e-6, -50.0])
    def test_an_answer_is_not_learned_from_if_the_clock_stops_or_jumps_back(self, elapsed_s):
        state = state_of()
        for i in range(10):
            answer(state, send(state, float(i)), latency_ms=10.0)
        before = learned_ms(state), state.profile.interval.get()
        place = send(state, 100.0)
        assert not succeed(state, place, 1.0, 10.0, 3.0, 100.0 + elapsed_s)
        assert (learned_ms(state), state.profile.interval.get()) == before
        assert state.profile.measurements_rejected == 1
        assert state.load.in_flight == 0

    def test_a_request_behind_another_is_not_learned_from_if_the_clock_stopped(self):
        state = state_of()
        first, second = send(state, 1.0), send(state, 1.0)
        assert succeed(state, first, 1.0, 10.0, 10.0, now_s=1.001)
        assert not succeed(state, second, 1.0, 20.0, 20.0, now_s=1.001)
        assert learned_ms(state) == pytest.approx(10.0)
        assert state.profile.measurements_rejected == 1

    def test_a_request_that_waited_while_the_clock_jumped_back_is_not_learned_from(self):
        state = state_of()
        first, second = send(state, 20.0), send(state, 20.0)
        assert not succeed(state, first, 1.0, 10.0, 10.0, now_s=19.995)
        assert not succeed(state, second, 1.0, 20.0, 20.0, now_s=20.005)
        assert not state.profile.latency.known

    def test_a_caller_that_times_by_another_clock_is_believed(self):
        state = state_of()
        assert succeed(state, send(state, 1.0), 1.0, 0.0, 10.0, now_s=1.0001)
        assert learned_ms(state) == pytest.approx(10.0)

    def test_a_latency_a_thousand_times_too_large_widens_no_interval(self):
        state = state_of()
        for i in range(50):
            answer(state, send(state, float(i)), latency_ms=10.0)
        before = state.profile.interval.get()
        assert not succeed(state, send(state, 100.0), 1.0, 10.0, 20_000.0, now_s=120.0)
        assert state.profile.interval.get() == before


class TestHiddenConcurrency:
    @pytest.mark.parametrize(("end", "concurrency"), [("answer", 2), ("bad latency", 1), ("ignored", 1)])
    def test_it_is_detected_by_answers_that_overtake_and_by_no_other_end(self, end, concurrency):
        state = state_of()
        for second in range(3):
            long, short = send(state, float(second)), send(state, float(second))
            if end == "answer":
                answer(state, short, latency_ms=10.0)
            elif end == "bad latency":
                succeed(state, short, 1.0, 10.0, math.nan, second + 0.01)
            else:
                state.released(short, second + 0.01)
            answer(state, long, latency_ms=100.0)
        assert state.load.concurrency == state.candidate.concurrency == concurrency


class TestEnds:
    def test_successes_and_failures_are_counted_and_ignored_requests_are_not(self):
        state = state_of()
        answer(state, send(state, 1.0), latency_ms=10.0)
        state.released(send(state, 2.0), now_s=2.0)
        state.failed(Fault.ERROR, now_s=3.0)
        assert (state.answers, state.failures) == (1, 1)
        assert state.load.in_flight == 0

    def test_an_ignored_request_is_not_learned_from(self):
        state = state_of()
        state.released(send(state, 1.0), now_s=1.010)
        assert not state.profile.latency.known
        assert state.profile.interval.get() == 0.5

    def test_a_success_closes_the_breaker(self):
        state = state_of()
        state.failed(Fault.DEAD, now_s=1.0)
        answer(state, send(state, 7.0), latency_ms=10.0)
        assert state.breaker.state is BreakerState.CLOSED
