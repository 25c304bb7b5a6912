import random

import pytest

from router_backend.core.learning.pace import WINDOW_S, LearningPace


def after_a_while(pace: LearningPace, per_s: float, seconds: float = 1.0, start_s: float = 0.0) -> float:
    """Answers come at a rate for some seconds; when the last one came."""
    for number in range(int(per_s * seconds)):
        pace.takes(start_s + number / per_s)
    return start_s + seconds


@pytest.mark.parametrize("per_s", [0.1, 1.0, 100.0, 499.0])
def test_every_answer_is_taken_where_there_are_few(per_s):
    pace = LearningPace()
    now_s = after_a_while(pace, per_s, seconds=20.0)
    assert all(pace.takes(now_s + number / per_s) for number in range(200))


@pytest.mark.parametrize("per_s", [600.0, 2_000.0, 50_000.0])
def test_of_many_between_250_and_500_are_taken_in_a_second(per_s):
    pace = LearningPace()
    now_s = after_a_while(pace, per_s)
    assert 240 <= sum(pace.takes(now_s + number / per_s) for number in range(int(per_s))) <= 500


def test_slow_answers_are_taken_as_often_as_fast_ones():
    """One at a time, as a busy variant answers: a tenth are slow, and come after a pause each."""
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


def test_all_are_taken_again_soon_after_the_rush_is_over():
    pace = LearningPace()
    now_s = after_a_while(pace, 10_000.0)
    taken = [pace.takes(now_s + 0.1 * number) for number in range(1, 10)]
    assert all(taken[3:])


@pytest.mark.parametrize("later_s", [-1000.0, 1000.0])
def test_a_clock_that_jumps_does_not_end_the_learning(later_s):
    pace = LearningPace()
    now_s = after_a_while(pace, 10_000.0, start_s=5_000.0)
    assert all(pace.takes(now_s + later_s + 0.1 * number) for number in range(10))


def test_a_clock_that_stands_still_is_no_rush():
    pace = LearningPace()
    assert all(pace.takes(7.0) for _ in range(1_000))
