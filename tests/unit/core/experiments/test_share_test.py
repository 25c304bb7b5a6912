import random

import pytest

from router_backend.core.experiments.share_test import ShareTest

RUNS = 400


def stops(true_ratio: float, share: float, events: int) -> list[int]:
    """Return after how many events those of RUNS tests of "at most 1.5 times as likely" that stop do so."""
    treated = share * true_ratio / (share * true_ratio + 1.0 - share)
    found = []
    for seed in range(RUNS):
        rng = random.Random(seed)
        test = ShareTest(ratio=1.5, alpha=0.05)
        for event in range(1, events + 1):
            if test.update(rng.random() < treated, share):
                found.append(event)
                break
    return found


@pytest.mark.statistics
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_ratio_that_is_just_allowed_is_given_up_no_more_often_than_stated(share):
    assert len(stops(1.5, share, events=1000)) <= 0.05 * RUNS


@pytest.mark.statistics
def test_the_same_rate_is_given_up_far_less_often():
    assert len(stops(1.0, 0.1, events=1000)) <= 0.01 * RUNS


@pytest.mark.statistics
@pytest.mark.parametrize(("true_ratio", "soon"), [(3.0, 250), (10.0, 30)])
def test_a_ratio_beyond_is_given_up_soon(true_ratio, soon):
    found = stops(true_ratio, 0.1, events=soon)
    assert len(found) > 0.9 * RUNS


def mean_likelihood_ratio(ratio: float, share: float, treated: int, untreated: int) -> float:
    """Return the mean over the alternatives, 1.2 to 10 times as likely as allowed, by its definition."""

    def likelihood(times: float) -> float:
        weight = share * ratio * times
        of_treatment = weight / (weight + 1.0 - share)
        return of_treatment**treated * (1.0 - of_treatment) ** untreated

    alternatives = (1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
    return sum(likelihood(times) for times in alternatives) / len(alternatives) / likelihood(1.0)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_it_gives_up_once_the_mean_likelihood_ratio_reaches_the_inverse_of_alpha(share, ratio, every):
    test, alpha = ShareTest(ratio, alpha=0.01), 0.01
    for event in range(200):
        stopped = test.update(event % every == 0, share)
        reached = mean_likelihood_ratio(ratio, share, test.treated, test.untreated)
        assert stopped is (reached >= 1.0 / alpha)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_if_all_get_one_arm_nothing_is_learned(share):
    test = ShareTest(ratio=1.5, alpha=0.05)
    assert not any(test.update(share == 1.0, share) for _ in range(1000))


def test_it_reports_how_many_events_were_the_treatments():
    test = ShareTest(ratio=1.5, alpha=0.05)
    for treated in (True, False, True, False, True):
        test.update(treated, 0.5)
    assert str(test) == "3 of 5"
