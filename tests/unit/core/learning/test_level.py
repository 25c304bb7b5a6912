import math

import pytest

from router_backend.core.learning.level import LevelFilter

FADE = 7 / 8


def test_the_level_is_one_before_the_first_observation():
    assert LevelFilter().get() == 1.0


def test_one_pseudo_observation_shrinks_the_level_towards_one():
    level = LevelFilter()
    level.update(3.0, now_s=5.0)
    assert level.get() == pytest.approx((3 + 1) / (1 + 1))


@pytest.mark.parametrize("elapsed_s", [0.5, 10.0])
def test_the_past_fades_with_each_observation_and_with_time(elapsed_s):
    level = LevelFilter()
    level.update(3.0, now_s=5.0)
    level.update(2.0, now_s=5.0 + elapsed_s)
    kept = FADE * math.exp(-elapsed_s / 10.0)
    assert level.get() == pytest.approx((3 * kept + 2 + 1) / (kept + 1 + 1))


def test_follows_a_step_within_ten_observations():
    level = LevelFilter()
    for i in range(50):
        level.update(1.0, now_s=0.01 * i)
    for i in range(10):
        level.update(2.5, now_s=0.5 + 0.01 * i)
    assert 1.9 < level.get() < 2.5


def test_old_observations_no_longer_count():
    level = LevelFilter()
    for i in range(20):
        level.update(4.0, now_s=0.1 * i)
    level.update(1.0, now_s=1000.0)
    assert level.get() == pytest.approx(1.0)


def test_a_clock_that_stops_or_jumps_back_counts_as_no_elapsed_time():
    steady, jumping = LevelFilter(), LevelFilter()
    for now_s in (100.0, 100.0, 3.0):
        jumping.update(2.0, now_s)
        steady.update(2.0, 100.0)
    assert jumping.get() == steady.get()


def test_reset_sets_the_level_back_to_one():
    level = LevelFilter()
    level.update(3.0, now_s=1.0)
    level.reset()
    assert level.get() == 1.0
    level.update(3.0, now_s=2.0)
    assert level.get() == pytest.approx(2.0)
