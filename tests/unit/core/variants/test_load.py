import math
import random

import pytest

from router_backend.core.variants.load import Load, Place


def leave(load: Load, place: Place, now_s: float) -> None:
    """End a request that was answered."""
    load.leave(place, now_s, answered=True)


def test_an_idle_variant_means_no_wait():
    load = Load(concurrency=1)
    assert load.in_flight == 0
    assert load.wait_ms(0.0) == 0.0
    assert load.utilization(0.0) == 0.0


def test_how_long_the_oldest_request_has_been_served():
    load = Load(concurrency=2)
    assert load.longest_ms(1.0) == 0.0
    load.enter(10.0, now_s=1.0)
    load.enter(10.0, now_s=1.002)
    assert load.longest_ms(1.005) == pytest.approx(5.0)


class TestOneInstance:
    def test_the_wait_is_the_rest_of_the_running_request(self):
        load = Load(concurrency=1)
        load.enter(10.0, now_s=1.0)
        assert load.wait_ms(1.0) == pytest.approx(10.0)
        assert load.wait_ms(1.004) == pytest.approx(6.0)

    def test_a_tenth_of_the_prediction_is_always_left(self):
        load = Load(concurrency=1)
        load.enter(10.0, now_s=1.0)
        assert load.wait_ms(1.0095) == pytest.approx(1.0)
        assert load.wait_ms(1.010) == pytest.approx(1.0)

    def test_an_overdue_request_counts_as_being_as_late_again(self):
        load = Load(concurrency=1)
        load.enter(10.0, now_s=1.0)
        assert load.wait_ms(1.025) == pytest.approx(15.0)
        assert load.wait_ms(1.110) == pytest.approx(100.0)

    def test_waiting_requests_add_their_predictions(self):
        load = Load(concurrency=1)
        for predicted_ms in (10.0, 20.0, 5.0):
            load.enter(predicted_ms, now_s=1.0)
        assert load.in_flight == 3
        assert load.wait_ms(1.004) == pytest.approx(6.0 + 20.0 + 5.0)

    def test_a_departure_starts_the_next_at_that_moment(self):
        load = Load(concurrency=1)
        first = load.enter(10.0, now_s=1.0)
        second = load.enter(20.0, now_s=1.002)
        assert (first.started_s, second.started_s) == (1.0, None)
        leave(load, first, 1.012)
        assert second.started_s == 1.012
        assert load.wait_ms(1.015) == pytest.approx(20.0 - 3.0)

    def test_requests_start_in_the_order_of_their_arrival(self):
        load = Load(concurrency=1)
        places = [load.enter(10.0, now_s=1.0) for _ in range(3)]
        leave(load, places[0], 1.01)
        assert [place.started_s for place in places] == [1.0, 1.01, None]
        leave(load, places[1], 1.02)
        assert places[2].started_s == 1.02

    def test_a_waiting_request_may_leave_before_it_starts(self):
        load = Load(concurrency=1)
        load.enter(10.0, now_s=1.0)
        second, third = load.enter(20.0, now_s=1.0), load.enter(5.0, now_s=1.0)
        leave(load, second, 1.001)
        assert load.in_flight == 2
        assert third.started_s is None
        assert load.wait_ms(1.001) == pytest.approx(9.0 + 5.0)

    def test_a_request_sent_after_a_departure_starts_when_it_was_sent(self):
        """The second request was routed before the answer of the first reached the router."""
        load = Load(concurrency=1)
        first = load.enter(10.0, now_s=1.0)
        second = load.enter(10.0, now_s=1.011)
        leave(load, first, 1.009)
        assert second.started_s == 1.011

    def test_when_nothing_waits_no_rounding_error_of_waiting_times_is_left(self):
        load = Load(concurrency=1)
        places = [load.enter(predicted_ms, now_s=1.0) for predicted_ms in (1.0, 1e16, 1.0)]
        for place in places[:2]:  # beside 1e16, the 1 is lost
            leave(load, place, 1.0)
        load.enter(5.0, now_s=1.0)
        assert load.wait_ms(1.0) == 1.0 + 5.0


class TestSeveralInstances:
    def test_no_wait_while_an_instance_is_free(self):
        load = Load(concurrency=3)
        load.enter(10.0, now_s=1.0)
        load.enter(30.0, now_s=1.0)
        assert load.wait_ms(1.0) == 0.0

    @pytest.mark.parametrize(("concurrency", "running"), [(2, (30.0, 10.0)), (3, (60.0, 20.0, 10.0))])
    def test_the_wait_is_until_the_first_of_them_becomes_free(self, concurrency, running):
        load = Load(concurrency)
        for predicted_ms in running:
            load.enter(predicted_ms, now_s=1.0)
        assert load.wait_ms(1.004) == pytest.approx(6.0)

    @pytest.mark.parametrize(
        ("running", "waiting", "wait_ms"),
        [
            ((10.0, 30.0), (20.0,), (10 + 30 + 20 - 20 / 2) / 2),
            ((10.0, 30.0), (20.0, 40.0), (10 + 30 + 60 - 30 / 2) / 2),
            ((10.0, 20.0, 60.0), (30.0,), (10 + 20 + 60 + 30 - 30) / 3),
            ((10.0, 20.0, 60.0), (30.0, 30.0, 30.0), (10 + 20 + 60 + 90 - 30) / 3),
        ],
    )
    def test_the_work_is_shared_less_half_a_service_of_each_other_instance(self, running, waiting, wait_ms):
        load = Load(len(running))
        for predicted_ms in running + waiting:
            load.enter(predicted_ms, now_s=1.0)
        assert load.wait_ms(1.0) == pytest.approx(wait_ms)

    def test_nothing_starts_before_the_first_instance_is_free(self):
        load = Load(concurrency=4)
        for predicted_ms in (10.0, 10.0, 10.0, 10.0, 8.0):
            load.enter(predicted_ms, now_s=1.0)
        assert load.wait_ms(1.0) == pytest.approx(10.0)

    def test_requests_may_end_in_any_order(self):
        load = Load(concurrency=2)
        slow, fast, third, fourth = (load.enter(ms, now_s=1.0) for ms in (50.0, 10.0, 10.0, 10.0))
        leave(load, fast, 1.010)
        leave(load, third, 1.020)
        assert (third.started_s, fourth.started_s) == (1.010, 1.020)
        assert slow.started_s == 1.0
        assert load.in_flight == 2
        assert load.wait_ms(1.020) == pytest.approx(10.0)
        leave(load, slow, 1.050)
        leave(load, fourth, 1.051)
        assert load.in_flight == 0
        assert load.wait_ms(1.051) == 0.0


class TestUtilization:
    def test_it_is_the_dispatched_service_time_over_two_seconds_per_instance(self):
        for concurrency in (1, 2, 4):
            load = Load(concurrency)
            load.enter(1000.0, now_s=5.0)
            assert load.utilization(5.0) == pytest.approx(1000.0 / 2000.0 / concurrency)

    def test_it_fades_exponentially(self):
        load = Load(concurrency=1)
        load.enter(1000.0, now_s=5.0)
        assert load.utilization(7.0) == pytest.approx(0.5 * math.exp(-1))
        load.enter(400.0, now_s=7.0)
        assert load.utilization(7.0) == pytest.approx(0.5 * math.exp(-1) + 0.2)

    def test_a_steady_stream_shows_its_rate_times_its_service_time(self):
        load = Load(concurrency=2)
        for i in range(2000):
            leave(load, load.enter(12.0, now_s=0.010 * i), 0.010 * i + 0.012)
        assert load.utilization(20.0) == pytest.approx(0.6, rel=0.01)

    def test_it_may_exceed_one_in_overload(self):
        load = Load(concurrency=1)
        for i in range(1000):
            load.enter(20.0, now_s=0.010 * i)
        assert load.utilization(10.0) == pytest.approx(2.0, rel=0.02)

    def test_finished_requests_still_count(self):
        load = Load(concurrency=1)
        leave(load, load.enter(1000.0, now_s=5.0), 5.0)
        assert load.utilization(5.0) == pytest.approx(0.5)


class TestClock:
    def test_a_clock_that_jumps_back_leaves_wait_and_utilization_valid(self):
        load = Load(concurrency=1)
        first = load.enter(10.0, now_s=100.0)
        load.enter(10.0, now_s=40.0)
        assert 0.0 < load.wait_ms(40.0) < math.inf
        assert load.utilization(30.0) == pytest.approx(20.0 / 2000.0)
        leave(load, first, 39.0)
        assert load.in_flight == 1
        assert 0.0 < load.wait_ms(41.0) < math.inf

    def test_a_clock_that_stops_fades_nothing(self):
        load = Load(concurrency=1)
        for _ in range(10):
            leave(load, load.enter(100.0, now_s=3.0), 3.0)
        assert load.utilization(3.0) == pytest.approx(0.5)
        assert load.wait_ms(3.0) == 0.0


class TestUnknownConcurrency:
    def test_a_variant_that_serves_two_at_once_is_detected_by_overtaking(self):
        """A long request runs; short ones behind it are answered before it, again and again."""
        load = Load(concurrency=1)
        for second in range(3):
            long = load.enter(100.0, now_s=float(second))
            short = load.enter(10.0, now_s=float(second))
            leave(load, short, second + 0.01)
            leave(load, long, second + 0.1)
        assert load.concurrency == 2
        load.enter(100.0, now_s=9.0)
        assert load.wait_ms(9.0) == 0.0

    def test_only_overtaking_the_oldest_running_request_counts(self):
        """The third is answered just before the second, and long before the first."""
        load = Load(concurrency=2)
        for second in range(3):
            first, next_one, third = (load.enter(100.0, now_s=float(second)) for _ in range(3))
            leave(load, third, second + 0.010)
            leave(load, next_one, second + 0.011)
            leave(load, first, second + 0.100)
        assert load.concurrency == 3

    def test_a_detected_place_is_used_at_once(self):
        load = Load(concurrency=1)
        for second in range(3):
            long, short = load.enter(100.0, now_s=float(second)), load.enter(10.0, now_s=float(second))
            queued = [load.enter(10.0, now_s=float(second)) for _ in range(2)]
            leave(load, short, second + 0.01)
            leave(load, long, second + 0.1)
            started_s = [place.started_s for place in queued]
            for place in queued:
                load.leave(place, second + 0.2, answered=False)
        assert started_s == [2.1, 2.1]

    @staticmethod
    def of_two() -> Load:
        """Return the load of a variant that is configured to serve one at once, and was seen to serve two."""
        load = Load(concurrency=1)
        for second in range(3):
            long, short = load.enter(100.0, now_s=float(second)), load.enter(10.0, now_s=float(second))
            leave(load, short, second + 0.01)
            leave(load, long, second + 0.1)
        assert load.concurrency == 2
        return load

    def test_one_that_no_longer_serves_two_at_once_is_detected_by_short_ones_that_wait(self):
        load = self.of_two()
        for second in range(10, 13):
            assert load.concurrency == 2
            long, short = load.enter(100.0, now_s=float(second)), load.enter(10.0, now_s=float(second))
            leave(load, long, second + 0.1)
            leave(load, short, second + 0.11)
        assert load.concurrency == 1
        load.enter(100.0, now_s=20.0)
        assert load.wait_ms(20.0) == pytest.approx(100.0)

    def test_what_was_not_served_after_all_waits_again(self):
        load = self.of_two()
        for second in range(10, 12):
            long, short = load.enter(100.0, now_s=float(second)), load.enter(10.0, now_s=float(second))
            leave(load, long, second + 0.1)
            leave(load, short, second + 0.11)
        long, short, third = (load.enter(ms, now_s=12.0) for ms in (100.0, 10.0, 30.0))
        leave(load, long, 12.1)
        assert (load.concurrency, short.started_s, third.started_s) == (1, 12.1, None)
        assert (short.queued, list(load.waiting)) == (True, [third])
        assert load.wait_ms(12.1) == pytest.approx(10.0 + 30.0)
        leave(load, short, 12.11)
        leave(load, third, 12.14)
        assert (load.in_flight, load.wait_ms(12.14)) == (0, 0.0)

    @pytest.mark.parametrize("seed", range(20))
    def test_whatever_leaves_when_every_request_either_runs_or_waits(self, seed):
        rng, load = random.Random(seed), Load(concurrency=1)
        places: list[Place] = []
        found = set()
        for number in range(3000):
            now_s = 0.001 * number
            in_order = number // 500 % 2  # at times, the variant serves one at once, at times any number
            if places and rng.random() < 0.5:
                place = places.pop(0 if in_order else rng.randrange(len(places)))
                load.leave(place, now_s, answered=rng.random() < 0.9)
            else:
                places.append(load.enter(rng.choice((1.0, 50.0)), now_s))
            found.add(load.concurrency)
            assert load.in_flight == len(places) == len(load.running) + len(load.waiting)
            assert len(load.running) == min(len(places), load.concurrency)
            assert all(place.started_s is not None for place in load.running)
            assert all(place.started_s is None for place in load.waiting)
            assert 0.0 <= load.wait_ms(now_s) < math.inf
        assert len(found) > 2

    def test_it_never_falls_below_what_is_configured(self):
        load = Load(concurrency=2)
        for second in range(10):
            long, short = load.enter(100.0, now_s=float(second)), load.enter(10.0, now_s=float(second))
            leave(load, long, second + 0.1)
            leave(load, short, second + 0.11)
        assert load.concurrency == 2

    def test_requests_that_fail_at_once_do_not_overtake(self):
        load = Load(concurrency=1)
        for second in range(20):
            long = load.enter(100.0, now_s=float(second))
            failed = load.enter(10.0, now_s=float(second))
            load.leave(failed, second + 0.01, answered=False)
            leave(load, long, second + 0.1)
        assert load.concurrency == 1

    def test_the_mean_service_time_is_that_of_the_requests_sent(self):
        load = Load(concurrency=1)
        load.enter(10.0, now_s=0.0)
        assert load.mean_service_ms == 10.0
        load.enter(20.0, now_s=0.0)
        assert load.mean_service_ms == pytest.approx(0.97 * 10.0 + 0.03 * 20.0)
        for _ in range(300):
            load.enter(20.0, now_s=0.0)
        assert load.mean_service_ms == pytest.approx(20.0, rel=1e-3)
