import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.learning.level import LevelFilter

FADE = 7 / 8
OBSERVATIONS = st.lists(
    st.tuples(st.floats(0.1, 10.0), st.floats(0.0, 100.0), st.floats(0.0, 1.0)), min_size=1, max_size=30
)


def taught(observations: list[tuple[float, float, float]]) -> LevelFilter:
    """Return a level that has learned ratios, times and variances."""
    level = LevelFilter()
    for ratio, now_s, variance in observations:
        level.update(ratio, now_s, variance)
    return level


def test_the_level_is_one_before_the_first_observation():
    assert LevelFilter().get(now_s=0.0) == LevelFilter().get(now_s=1e6) == LevelFilter().value == 1.0


def test_one_pseudo_observation_shrinks_the_level_towards_one():
    level = taught([(3.0, 5.0, 0.0)])
    assert level.get(5.0) == level.value == pytest.approx((3 + 1) / (1 + 1))


@pytest.mark.parametrize("elapsed_s", [0.5, 10.0])
def test_the_past_fades_with_each_observation_and_with_time(elapsed_s):
    level = taught([(3.0, 5.0, 0.0), (2.0, 5.0 + elapsed_s, 0.0)])
    kept = FADE * math.exp(-elapsed_s / 10.0)
    assert level.value == pytest.approx((3 * kept + 2 + 1) / (kept + 1 + 1))


@pytest.mark.parametrize(
    ("variance", "prior"), [(0.0, 1.0), (0.0225, 1.0), (0.045, 2.0), (0.09, 4.0), (0.5625, 25.0)]
)
def test_the_prior_weighs_as_many_observations_as_one_has_more_variance_than_the_level(variance, prior):
    """σ²/τ² with τ = 0.15, at least one."""
    level = taught([(3.0, 5.0, 0.0), (2.0, 5.0, variance)])
    assert level.value == pytest.approx((3 * FADE + 2 + prior) / (FADE + 1 + prior))
    left = math.exp(-0.5)
    expected = ((3 * FADE + 2) * left + prior) / ((FADE + 1) * left + prior)
    assert level.get(10.0) == pytest.approx(expected)


def test_the_noisier_a_variant_the_less_its_last_answers_say():
    values = [taught([(2.0, 0.01 * i, variance) for i in range(8)]).value for variance in (0.0, 0.1, 0.6)]
    assert values[0] > 1.8
    assert 1.0 < values[2] < 1.25 < values[1] < values[0]


@pytest.mark.parametrize("unseen_s", [0.11, 1.0, 10.0, 60.0])
def test_the_level_returns_to_one_while_unseen(unseen_s):
    level = taught([(3.0, 5.0, 0.0), (2.0, 6.0, 0.0)])
    kept, left = FADE * math.exp(-0.1), math.exp(-unseen_s / 10.0)
    expected = ((3 * kept + 2) * left + 1) / ((kept + 1) * left + 1)
    assert level.get(6.0 + unseen_s) == pytest.approx(expected)


def test_reading_the_level_does_not_change_it():
    level = taught([(3.0, 5.0, 0.0)])
    read = [level.get(now_s) for now_s in (6.0, 1000.0, 6.0)]
    assert read[0] == read[2] != read[1]
    assert level.value == 2.0


def test_the_level_counts_as_observed_for_a_tenth_of_a_second():
    level = taught([(3.0, 5.0, 0.0)])
    assert level.get(5.099) == level.value
    assert level.get(5.101) < level.value


@given(OBSERVATIONS, st.floats(0.0, 1e4))
def test_the_level_unseen_is_between_one_and_what_it_was(observations, unseen_s):
    level = taught(observations)
    now = level.get(level.updated_s + unseen_s)
    low, high = sorted((1.0, level.value))
    assert low - 1e-9 <= now <= high + 1e-9


@given(OBSERVATIONS)
def test_the_level_is_within_the_range_of_the_observations_and_one(observations):
    ratios = [ratio for ratio, _, _ in observations]
    assert min(*ratios, 1.0) - 1e-9 <= taught(observations).value <= max(*ratios, 1.0) + 1e-9


def test_follows_a_step_within_ten_observations():
    level = LevelFilter()
    for i in range(50):
        level.update(1.0, now_s=0.01 * i)
    for i in range(10):
        level.update(2.5, now_s=0.5 + 0.01 * i)
    assert 1.9 < level.value < 2.5


def test_old_observations_no_longer_count():
    level = LevelFilter()
    for i in range(20):
        level.update(4.0, now_s=0.1 * i)
    level.update(1.0, now_s=1000.0)
    assert level.value == pytest.approx(1.0)


def test_a_clock_that_stops_or_jumps_back_counts_as_no_elapsed_time():
    steady, jumping = LevelFilter(), LevelFilter()
    for now_s in (100.0, 100.0, 3.0):
        jumping.update(2.0, now_s)
        steady.update(2.0, 100.0)
    assert jumping.value == steady.value
    assert jumping.get(-1e6) == jumping.value


def test_reset_sets_the_level_back_to_one():
    level = taught([(3.0, 1.0, 0.0)])
    level.reset()
    assert level.value == level.get(1.0) == level.get(2.0) == 1.0
    level.update(3.0, now_s=2.0)
    assert level.value == pytest.approx(2.0)


class TestOutliersThatMayBeAccidents:
    """They raise the level until an ordinary observation follows, and are gone from then on."""

    STEADY = ((1.0, 5.0, 0.0), (1.1, 5.0, 0.0))

    def test_they_count_for_the_time_being(self):
        doubting, sure = taught(list(self.STEADY)), taught([*self.STEADY, (6.0, 5.0, 0.0)])
        doubting.doubt(6.0, 5.0, 0.0)
        assert doubting.value == sure.value
        assert doubting.get(8.0) == sure.get(8.0)

    @pytest.mark.parametrize("outliers", [1, 2, 5])
    def test_an_ordinary_observation_forgets_all_of_them(self, outliers):
        level = taught(list(self.STEADY))
        before = level.value
        for _ in range(outliers):
            level.doubt(6.0, 5.0, 0.0)
        assert level.value > 1.5
        level.settle()
        assert level.value == before
        level.update(1.0, 5.0)
        assert level.value == taught([*self.STEADY, (1.0, 5.0, 0.0)]).value

    def test_without_one_nothing_is_forgotten(self):
        level = taught(list(self.STEADY))
        before = level.value
        level.settle()
        assert level.value == before
