import math

import pytest

from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.health import BreakerState
from router_backend.core.variants.load import Place
from router_backend.core.variants.profile import VariantProfile


def profile_of(concurrency: int = 1, max_batch_size: int = 0) -> VariantProfile:
    return VariantProfile(Variant("v", Device.CPU, concurrency, max_batch_size), coverage=0.9)


def send(profile: VariantProfile, now_s: float) -> Place:
    """A request for which 10 ms are predicted is sent there."""
    profile.service_ms = 10.0
    return profile.dispatched(now_s)


def succeed(
    profile: VariantProfile, place: Place, size: float, expected_ms: float, latency_ms: float, now_s: float
) -> bool:
    """The request of this place is answered; whether that taught anything."""
    service_ms = profile.answered(place, latency_ms, now_s)
    return profile.learn(size, service_ms, expected_ms, latency_ms, now_s)


def answer(profile: VariantProfile, place: Place, latency_ms: float, size: float = 1.0) -> None:
    """The request of this place, predicted as 10 ms, is answered after `latency_ms`."""
    succeed(profile, place, size, 10.0, latency_ms, place.dispatched_s + latency_ms / 1e3)


class TestServiceTime:
    def test_a_request_that_met_no_other_was_served_all_the_time(self):
        profile = profile_of()
        answer(profile, send(profile, 1.0), latency_ms=14.0)
        assert profile.latency.predict(1.0) == pytest.approx(14.0)

    def test_the_wait_behind_another_request_is_not_service(self):
        profile = profile_of()
        first = send(profile, 1.000)
        second = send(profile, 1.004)
        answer(profile, first, latency_ms=10.0)
        answer(profile, second, latency_ms=16.0)  # sent at 4, first left at 10, answered at 20
        assert profile.latency.predict(1.0) == pytest.approx(10.0)

    def test_a_departure_that_taught_nothing_ends_the_wait_as_well(self):
        profile = profile_of()
        first = send(profile, 1.000)
        second = send(profile, 1.004)
        profile.ignored(first, now_s=1.006)
        answer(profile, second, latency_ms=9.0)
        assert profile.latency.predict(1.0) == pytest.approx(7.0)

    def test_with_two_instances_only_the_third_request_waits(self):
        profile = profile_of(concurrency=2)
        first, second, third = (send(profile, 1.0) for _ in range(3))
        answer(profile, first, latency_ms=10.0)
        answer(profile, second, latency_ms=10.0)
        answer(profile, third, latency_ms=20.0)
        assert profile.latency.predict(1.0) == pytest.approx(10.0)

    def test_an_answer_that_overtook_the_queue_did_not_wait_there(self):
        profile = profile_of()
        send(profile, 1.0)
        second = send(profile, 1.0)
        answer(profile, second, latency_ms=8.0)
        assert profile.latency.predict(1.0) == pytest.approx(8.0)

    def test_a_departure_recorded_late_does_not_lengthen_the_next_service(self):
        """The second was sent after the first had left, though before that was recorded."""
        profile = profile_of()
        first = send(profile, 1.000)
        second = send(profile, 1.012)
        profile.ignored(first, now_s=1.010)
        answer(profile, second, latency_ms=7.0)
        assert profile.latency.predict(1.0) == pytest.approx(7.0)


class TestPrediction:
    def test_nothing_is_known_of_a_new_variant(self):
        profile = profile_of()
        profile.predict(1.0, now_s=5.0)
        assert not profile.latency.known
        assert (profile.service_ms, profile.wait_ms, profile.utilization) == (0.0, 0.0, 0.0)

    def test_it_puts_service_wait_and_utilization_together(self):
        profile = profile_of()
        answer(profile, send(profile, 1.0), latency_ms=10.0)
        send(profile, 1.010)
        profile.predict(1.0, now_s=1.014)
        assert profile.service_ms == pytest.approx(10.0)
        assert profile.wait_ms == pytest.approx(6.0)
        assert profile.latency_ms == pytest.approx(16.0)
        assert profile.utilization == pytest.approx(20.0 / 2000.0, rel=0.01)

    def test_the_variance_is_that_of_a_share_of_the_predicted_service_time(self):
        profile = profile_of()
        profile.predict(8.0, now_s=0.0)
        assert profile.variance == 1.0
        for i in range(100):
            answer(profile, send(profile, float(i)), latency_ms=10.0)
        profile.predict(8.0, now_s=99.0)
        assert 0.0 < profile.variance < 0.08**2


class TestLatencyThatNoClockCanShow:
    @pytest.mark.parametrize("bad_ms", [math.nan, math.inf, -math.inf, -1e6, 0.0, 5e-324, 1e300])
    def test_it_frees_the_place_is_counted_and_disturbs_nothing(self, bad_ms):
        profile, sound = profile_of(), profile_of()
        for each, latency_ms in ((profile, bad_ms), (sound, None)):
            for i in range(10):
                answer(each, send(each, float(i)), latency_ms=10.0)
            first = send(each, 100.000)
            second = send(each, 100.001)
            if latency_ms is None:
                each.ignored(first, now_s=100.010)
            else:
                succeed(each, first, 1.0, 10.0, latency_ms, 100.010)
            assert each.load.wait_ms(100.014) == pytest.approx(6.0)
            answer(each, second, latency_ms=19.0)
        assert profile.latency.rejected == 1
        assert sound.latency.rejected == 0
        assert profile.load.in_flight == 0
        assert profile.latency.predict(1.0) == sound.latency.predict(1.0)
        assert profile.interval.get() == sound.interval.get()

    def test_a_latency_beyond_the_present_does_not_block_the_queue(self):
        profile = profile_of()
        first = send(profile, 1.0)
        send(profile, 1.0)
        succeed(profile, first, 1.0, 10.0, 1e10, now_s=1.010)
        assert profile.load.wait_ms(1.014) == pytest.approx(6.0)


class TestFaultyClock:
    @pytest.mark.parametrize("elapsed_s", [0.0, -1e-6, -50.0])
    def test_an_answer_on_a_clock_that_stands_still_or_jumps_back_teaches_nothing(self, elapsed_s):
        profile = profile_of()
        for i in range(10):
            answer(profile, send(profile, float(i)), latency_ms=10.0)
        before = profile.latency.predict(1.0), profile.interval.get()
        place = send(profile, 100.0)
        assert not succeed(profile, place, 1.0, 10.0, 3.0, 100.0 + elapsed_s)
        assert (profile.latency.predict(1.0), profile.interval.get()) == before
        assert profile.measurements_rejected == 1
        assert profile.load.in_flight == 0

    def test_what_waited_is_not_told_apart_from_its_wait_by_a_clock_that_stood_still(self):
        profile = profile_of()
        first, second = send(profile, 1.0), send(profile, 1.0)
        assert succeed(profile, first, 1.0, 10.0, 10.0, now_s=1.001)
        assert not succeed(profile, second, 1.0, 20.0, 20.0, now_s=1.001)
        assert profile.latency.predict(1.0) == pytest.approx(10.0)
        assert profile.measurements_rejected == 1

    def test_what_waited_is_not_taken_for_alone_because_the_clock_jumped_back_while_it_did(self):
        profile = profile_of()
        first, second = send(profile, 20.0), send(profile, 20.0)
        assert not succeed(profile, first, 1.0, 10.0, 10.0, now_s=19.995)
        assert not succeed(profile, second, 1.0, 20.0, 20.0, now_s=20.005)
        assert not profile.latency.known

    def test_a_caller_that_times_by_another_clock_is_believed(self):
        profile = profile_of()
        assert succeed(profile, send(profile, 1.0), 1.0, 0.0, 10.0, now_s=1.0001)
        assert profile.latency.predict(1.0) == pytest.approx(10.0)

    def test_a_latency_a_thousand_times_too_large_widens_no_interval(self):
        profile = profile_of()
        for i in range(50):
            answer(profile, send(profile, float(i)), latency_ms=10.0)
        before = profile.interval.get()
        assert not succeed(profile, send(profile, 100.0), 1.0, 10.0, 20_000.0, now_s=120.0)
        assert profile.interval.get() == before


class TestReasonOut:
    def test_a_healthy_variant_takes_any_request(self):
        assert profile_of().reason_out(RoutingContext(batch_size=1000), now_s=0.0) is None

    def test_a_variant_that_is_not_ready_says_why(self):
        profile = profile_of()
        profile.not_ready_reason = "its provider is missing"
        assert profile.reason_out(RoutingContext(), now_s=0.0) == "its provider is missing"

    def test_a_batch_above_its_maximum_is_named_with_both_numbers(self):
        profile = profile_of(max_batch_size=8)
        assert profile.reason_out(RoutingContext(batch_size=8), now_s=0.0) is None
        reason = profile.reason_out(RoutingContext(batch_size=9), now_s=0.0)
        assert reason == "batch 9 is above its maximum 8"

    def test_allowed_and_excluded_variants_are_respected(self):
        profile = profile_of()
        assert profile.reason_out(RoutingContext(allowed_variants=frozenset({"v", "w"})), 0.0) is None
        assert profile.reason_out(RoutingContext(excluded_variants=frozenset({"w"})), 0.0) is None
        allowed = profile.reason_out(RoutingContext(allowed_variants=frozenset({"w"})), 0.0)
        excluded = profile.reason_out(RoutingContext(excluded_variants=frozenset({"v"})), 0.0)
        assert allowed == "not among the allowed variants"
        assert excluded == "excluded from this request"

    def test_an_open_breaker_is_a_reason_until_its_time_is_over(self):
        profile = profile_of()
        profile.failed(Fault.DEAD, now_s=10.0)
        assert profile.reason_out(RoutingContext(), now_s=14.9) == VariantProfile.DEAD
        assert profile.reason_out(RoutingContext(), now_s=15.0) is None


class TestHiddenConcurrency:
    @pytest.mark.parametrize(("end", "concurrency"), [("answer", 2), ("bad latency", 1), ("ignored", 1)])
    def test_it_is_found_out_by_answers_that_overtake_and_by_no_other_end(self, end, concurrency):
        profile = profile_of()
        for second in range(3):
            long, short = send(profile, float(second)), send(profile, float(second))
            if end == "answer":
                answer(profile, short, latency_ms=10.0)
            elif end == "bad latency":
                succeed(profile, short, 1.0, 10.0, math.nan, second + 0.01)
            else:
                profile.ignored(short, second + 0.01)
            answer(profile, long, latency_ms=100.0)
        assert profile.load.concurrency == concurrency


class TestEnds:
    def test_successes_and_failures_are_counted_and_ignored_requests_are_not(self):
        profile = profile_of()
        answer(profile, send(profile, 1.0), latency_ms=10.0)
        profile.ignored(send(profile, 2.0), now_s=2.0)
        profile.failed(Fault.ERROR, now_s=3.0)
        assert (profile.successes, profile.failures) == (1, 1)
        assert profile.load.in_flight == 0

    def test_an_ignored_request_teaches_nothing(self):
        profile = profile_of()
        profile.ignored(send(profile, 1.0), now_s=1.010)
        assert not profile.latency.known
        assert profile.interval.get() == 0.5

    def test_a_success_closes_the_breaker(self):
        profile = profile_of()
        profile.failed(Fault.DEAD, now_s=1.0)
        answer(profile, send(profile, 7.0), latency_ms=10.0)
        assert profile.breaker.state is BreakerState.CLOSED

    def test_the_interval_learns_nothing_where_nothing_was_predicted(self):
        profile = profile_of()
        succeed(profile, send(profile, 1.0), 1.0, 0.0, 10.0, now_s=1.010)
        assert profile.interval.get() == 0.5

    def test_the_interval_learns_from_the_latency_as_a_whole(self):
        """10 ms were predicted and came: inside, by 0.25 · 0.1; then 100 ms came: outside, by 0.25 · 0.9."""
        profile = profile_of()
        answer(profile, send(profile, 1.0), latency_ms=10.0)
        assert profile.interval.get() == pytest.approx(0.5 * math.exp(-0.025))
        answer(profile, send(profile, 2.0), latency_ms=100.0)
        assert profile.interval.get() == pytest.approx(0.5 * math.exp(0.2))
