import random

import pytest

from router_backend.core.learning.pace import WINDOW_S, LearningPace


def after_a_while(pace: LearningPace, per_s: float, seconds: float = 1.0, start_s: float = 0.0) -> float:
    """Let responses arrive at a rate for some seconds, and return the time at the end."""
    for number in range(int(per_s * seconds)):
        pace.takes(start_s + number / per_s)
    return start_s + seconds


@pytest.mark.parametrize("per_s", [0.1, 1.0, 100.0, 499.0])
def test_every_response_is_learned_at_low_rates(per_s):
    pace = LearningPace()
    now_s = after_a_while(pace, per_s, seconds=20.0)
    assert all(pace.takes(now_s + number / per_s) for number in range(200))


@pytest.mark.parametrize("per_s", [600.0, 2_000.0, 50_000.0])
def test_between_250_and_500_responses_per_second_are_learned_at_high_rates(per_s):
    pace = LearningPace()
    now_s = after_a_while(pace, per_s)
    assert 240 <= sum(pace.takes(now_s + number / per_s) for number in range(int(per_s))) <= 500


def test_slow_responses_are_sampled_as_often_as_fast_ones():
    """A busy variant answers one request at a time; a tenth of them is slow, each after a pause."""
    pace, rng = LearningPace(), random.Random(0)
    now_s, slow, taken, slow_taken = 0.0, 0, 0, 0
    for _ in range(200_000):
        is_slow = rng.random() < 0.1
        now_s += 0.0015 if is_slow else 0.0003
        slow += is_slow
        if pace.takes(now_s):
            taken += 1
            slow_taken += is_slow
    assert 200 * now_s < taken < 500 * now_s + 500 * WINDOW_S
    assert slow_taken / taken == pytest.approx(slow / 200_000, rel=0.05)


def test_every_response_is_learned_again_soon_after_a_peak():
    pace = LearningPace()
    now_s = after_a_while(pace, 10_000.0)
    taken = [pace.takes(now_s + 0.1 * number) for number in range(1, 10)]
    assert all(taken[3:])


@pytest.mark.parametrize("later_s", [-1000.0, 1000.0])
def test_a_clock_that_jumps_does_not_stop_learning(later_s):
    pace = LearningPace()
    now_s = after_a_while(pace, 10_000.0, start_s=5_000.0)
    assert all(pace.takes(now_s + later_s + 0.1 * number) for number in range(10))


def test_a_clock_that_does_not_advance_is_not_a_high_rate():
    pace = LearningPace()
    assert all(pace.takes(7.0) for _ in range(1_000))
