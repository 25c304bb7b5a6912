import random

import pytest

from router_backend.core.experiments.share_test import ShareTest

RUNS = 400


def stops(true_ratio: float, share: float, events: int) -> list[int]:
    """After how many events tests of "at most 1.5 times as likely" at 5 % give up, of RUNS those that do."""
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


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_ratio_that_is_just_allowed_is_given_up_no_more_often_than_stated(share):
    assert len(stops(1.5, share, events=1000)) <= 0.05 * RUNS


def test_the_same_rate_is_given_up_far_less_often():
    assert len(stops(1.0, 0.1, events=1000)) <= 0.01 * RUNS


@pytest.mark.parametrize(("true_ratio", "soon"), [(3.0, 250), (10.0, 30)])
def test_a_ratio_beyond_is_given_up_soon(true_ratio, soon):
    found = stops(true_ratio, 0.1, events=soon)
    assert len(found) > 0.9 * RUNS


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_all_get_one_arm_nothing_is_learned(share):
    test = ShareTest(ratio=1.5, alpha=0.05)
    assert not any(test.update(share == 1.0, share) for _ in range(1000))


def test_it_tells_how_many_of_the_events_were_the_treatments():
    test = ShareTest(ratio=1.5, alpha=0.05)
    for treated in (True, False, True, False, True):
        test.update(treated, 0.5)
    assert str(test) == "3 of 5"
