import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.learning.rare_excess import RareExcess

EXCESSES = st.lists(st.sampled_from([0.0, 0.0, 0.0, 5.0, 99.0, 1e6]), max_size=300)


def excess_of(*excesses: float, answers: float = 0.0) -> RareExcess:
    """Return what was learned from answers with these excesses."""
    learned = RareExcess(answers)
    for excess in excesses:
        learned.update(excess)
    return learned


def test_one_slow_answer_adds_nothing():
    learned = excess_of(99.0)
    assert (learned.value, learned.variance) == (0.0, 0.0)


@pytest.mark.parametrize("share", [0.005, 0.01, 0.02, 0.05])
def test_the_mean_excess_of_recurring_slow_answers_is_learned(share):
    """However rare they are; but for the prior, one that does not count, and pauses taken for a cure."""
    rng, learned, values = random.Random(1), RareExcess(), []
    for _ in range(int(1_000 / share)):
        learned.update(49.0 if rng.random() < share else 0.0)
        values.append(learned.value)
    later = values[len(values) // 20 :]
    assert sum(later) / len(later) == pytest.approx(49.0 * share, rel=0.15)
    assert statistics.stdev(later) < 0.35 * 49.0 * share


def test_the_variance_is_that_of_a_count_of_slow_answers():
    """A count of F has variance F, so the excess of mean m has F·m² / (N + 32)²; one does not count."""
    learned = excess_of(*([49.0] + [0.0] * 9) * 3)
    kept = 31 / 32
    slow = 1 + kept + kept**2
    answers = ((1 * kept + 10) * kept + 10) * kept + 9
    assert learned.value == pytest.approx((slow - 1) * 49 / (answers + 32))
    assert learned.variance == pytest.approx((slow - 1) * 49**2 / (answers + 32) ** 2)


def test_an_excess_counts_as_a_hundred_at_most():
    assert excess_of(1e9, 0.0, 1e9).value == excess_of(100.0, 0.0, 100.0).value


def test_answers_before_the_first_slow_one_count():
    assert excess_of(9.0, 9.0, answers=200.0).value < 0.2 * excess_of(9.0, 9.0).value


@pytest.mark.parametrize("slow", [2, 3, 5])
def test_slow_answers_among_the_first_fade_with_fifty_ordinary_ones(slow):
    learned = excess_of(*[0.0] * 5, *[99.0] * slow)
    before = learned.value
    assert before > 2.0
    for _ in range(50):
        learned.update(0.0)
    assert learned.value < 0.5 * before


def test_so_many_ordinary_answers_that_the_share_is_unlikely_forget_it():
    learned = excess_of(*[99.0] * 10, *[0.0] * 20)
    assert learned.value > 9.0
    for _ in range(12):
        learned.update(0.0)
    assert (learned.value, learned.is_negligible) == (0.0, True)


def test_one_that_is_long_ago_need_not_be_remembered():
    learned = excess_of(99.0)
    assert not learned.is_negligible
    for _ in range(600):
        learned.update(0.0)
    assert learned.is_negligible


class TestHeldReadings:
    """Far enough from the prediction to be in a wrong unit."""

    @staticmethod
    def held(*gaps: int) -> RareExcess:
        """Return what was learned of one held reading, and one after each of these numbers of answers."""
        learned = RareExcess(100.0)
        learned.hold(999.0)
        for gap in gaps:
            for _ in range(gap):
                learned.update(0.0)
            learned.hold(999.0)
        return learned

    @pytest.mark.parametrize("gaps", [(), (0,), (20,), (5, 33), (33, 5), (33, 33, 33, 33), (5, 33, 5, 33, 5)])
    def test_they_cost_nothing_until_a_third_follows_closely(self, gaps):
        learned = self.held(*gaps)
        assert (learned.value, learned.variance, learned.share) == (0.0, 0.0, 0.0)

    @pytest.mark.parametrize(("gaps", "count"), [((0, 0), 3), ((32, 32), 3), ((33, 5, 5), 3), ((5, 5, 5), 4)])
    def test_from_the_third_on_all_of_them_count(self, gaps, count):
        learned = self.held(*gaps)
        assert learned.value == pytest.approx((count - 1) * 100.0 / (132.0 + sum(gaps) + count), rel=0.25)

    def test_they_are_remembered_while_another_may_follow(self):
        learned = self.held()
        assert not learned.is_negligible
        for _ in range(33):
            learned.update(0.0)
        assert learned.is_negligible


def test_it_is_tried_more_often_the_less_likely_it_still_has_slow_answers():
    learned = excess_of(*[99.0] * 5, answers=100.0)
    assert learned.trial_share == 1.0 / 100.0
    shares = []
    while learned.value:
        learned.update(0.0)
        shares.append(learned.trial_share)
    assert shares == sorted(shares)
    assert max(shares) == 0.5


@given(EXCESSES)
def test_it_is_never_negative_nor_above_the_highest_that_counts(excesses):
    learned = excess_of(*excesses)
    assert 0.0 <= learned.value <= 100.0
    assert 0.0 <= learned.variance <= 100.0**2
