import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.learning.failure_share import FailureShare

DECAY = 63 / 64
ENDS = st.lists(st.booleans(), max_size=300)


def share_of(*ends: bool, answers: int = 0) -> FailureShare:
    """Return the share of a variant whose requests ended so: `True` for a failure."""
    share = FailureShare(answers)
    for failed in ends:
        share.update(failed=failed)
    return share


def with_share(percent: int, requests: int = 400) -> FailureShare:
    """Return the share of a variant that failed evenly spaced requests."""
    return share_of(*(n * percent // 100 != (n - 1) * percent // 100 for n in range(1, requests + 1)))


def test_a_variant_has_no_failures_before_the_first_request():
    assert (FailureShare().value, FailureShare().trial_share) == (0.0, 1 / 40)


def test_four_pseudo_successes_shrink_the_share():
    assert share_of(True).value == pytest.approx(1 / 5)
    assert share_of(True, True).value == pytest.approx((1 + DECAY) / (1 + DECAY + 4))


def test_requests_fade_by_a_64th_with_each_request():
    assert share_of(True, False).value == pytest.approx(DECAY / (DECAY + 1 + 4))
    expected = (DECAY**2 + 1) / (DECAY**2 + DECAY + 1 + 4)
    assert share_of(True, False, True).value == pytest.approx(expected)


@pytest.mark.parametrize(("answers", "weight"), [(0, 0), (1, 1), (10, 10), (63, 63), (64, 64), (5000, 64)])
def test_answers_before_the_first_failure_count_like_64_requests_at_most(answers, weight):
    assert share_of(True, answers=answers).value == pytest.approx(1 / (weight * DECAY + 1 + 4))


@pytest.mark.parametrize("percent", [1, 5, 20, 50, 100])
def test_a_steady_share_is_learned_but_for_the_prior(percent):
    """The steady sums are 64 requests, and their failures."""
    rng, share, values = random.Random(percent), FailureShare(), []
    ends = [rng.random() < percent / 100 for _ in range(20_000)]
    for failed in ends:
        share.update(failed=failed)
        values.append(share.value)
    assert sum(values) / len(values) == pytest.approx(sum(ends) / len(ends) * 64 / 68, rel=0.1)


def test_a_run_of_successes_that_is_unlikely_under_the_share_forgets_it():
    """Once the product of 1 - p over the run falls below 3 %, 2 % of the sums remain."""
    share, unlikely, failures, requests = share_of(*[True] * 20), 1.0, 0.0, 0.0
    for _ in range(20):
        failures, requests = failures * DECAY + 1, requests * DECAY + 1
    for _ in range(3):
        unlikely *= 1 - share.value
        share.update(failed=False)
        failures, requests = failures * DECAY, requests * DECAY + 1
        if unlikely < 0.03:
            break
        assert share.value == pytest.approx(failures / (requests + 4))
        assert share.value > 0.7
    assert unlikely < 0.03
    assert share.value == pytest.approx(0.02 * failures / (0.02 * requests + 4))
    share.update(failed=False)
    forgotten = 0.02 * failures * DECAY / (0.02 * requests * DECAY + 1 + 4)
    assert share.value == pytest.approx(forgotten), "the next run begins"


def test_a_failure_ends_the_run_of_successes():
    share = with_share(20)
    for _ in range(30):
        for failed in (*[False] * 8, True, True):
            share.update(failed=failed)
            assert share.value > 0.1


@pytest.mark.parametrize(("percent", "needed"), [(20, 19), (50, 12), (100, 18)])
def test_a_variant_that_is_well_again_is_recognized_within_twenty_successes(percent, needed):
    share, successes = with_share(percent), 0
    while share.value > 0.05:
        share.update(failed=False)
        successes += 1
    assert successes == needed


def test_the_trial_share_grows_by_half_with_each_success_up_to_half_of_the_requests():
    share = share_of(True)
    for run in range(60):
        assert share.trial_share == pytest.approx(min(1 / 40 * (1 + run / 2), 0.5)), run
        share.update(failed=False)
    assert share.trial_share == 0.5


def test_a_failure_sets_the_trial_share_back():
    assert share_of(True, *[False] * 20, True).trial_share == 1 / 40


@given(ENDS, st.integers(0, 10**6))
def test_shares_are_probabilities(ends, answers):
    share = share_of(*ends, answers=answers)
    assert 0.0 <= share.value < 1.0
    assert 1 / 40 <= share.trial_share <= 0.5


@given(ENDS)
def test_a_failure_raises_the_share_and_a_success_lowers_it(ends):
    before = share_of(*ends).value
    assert share_of(*ends, True).value > before
    assert share_of(*ends, False).value <= before


@given(st.integers(0, 500))
def test_without_failures_the_share_is_zero(answers):
    assert share_of(*[False] * answers).value == 0.0
