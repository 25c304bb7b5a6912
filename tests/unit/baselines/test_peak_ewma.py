import math

import pytest

from router_backend.baselines.peak_ewma import PeakEwma, PeakEwmaPolicy
from tests.unit.baselines.replicas import answer, choose, holding


class TestPeakEwma:
    def test_a_peak_counts_at_once(self):
        average = PeakEwma()
        average.update(10.0, 0.0)
        average.update(80.0, 0.001)
        assert average.read(0.001) == 80.0

    def test_a_lower_latency_counts_by_the_time_since_the_last(self):
        average = PeakEwma()
        average.update(80.0, 0.0)
        average.update(10.0, 5.0)
        assert average.read(5.0) == pytest.approx(10.0 + 70.0 * math.exp(-0.5))

    def test_reading_fades_it_by_half_in_ten_ln_two_seconds(self):
        average = PeakEwma()
        average.update(80.0, 0.0)
        assert average.read(10.0 * math.log(2.0)) == pytest.approx(40.0)
        assert average.read(20.0 * math.log(2.0)) == pytest.approx(20.0)

    def test_a_clock_that_jumps_back_fades_nothing(self):
        average = PeakEwma()
        average.update(80.0, 100.0)
        assert average.read(0.0) == 80.0


def test_the_cost_is_the_average_times_what_is_in_flight_with_this_one():
    policy, idle, busy = PeakEwmaPolicy(), holding("idle"), holding("busy", in_flight=3)
    answer(policy, idle, 30.0)
    answer(policy, busy, 10.0)
    assert choose(policy, idle, busy)[0] is idle
    assert (idle.cost, busy.cost) == (30.0, 40.0)


def test_an_unknown_variant_is_tried_once_until_it_answers():
    policy, known, unknown = PeakEwmaPolicy(), holding("known", in_flight=20), holding("unknown")
    answer(policy, known, 1000.0)
    assert choose(policy, known, unknown)[0] is unknown
    unknown.in_flight = 1
    assert choose(policy, known, unknown)[0] is known
    assert unknown.cost > 1e8
