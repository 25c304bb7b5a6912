import pytest

from router_backend.core.variants.limit_trial import LimitTrial


def refused(trial: LimitTrial) -> int:
    """Return how many requests are refused before one is sent."""
    count = 0
    while not trial.is_due:
        trial.refused()
        count += 1
    assert trial.sent()
    return count


@pytest.mark.parametrize(("readings", "first"), [(2.0, 4), (10.4, 20), (50.0, 100), (256.0, 100)])
def test_each_trial_comes_after_twice_as_many_refusals(readings, first):
    trial = LimitTrial(readings)
    assert [refused(trial) for _ in range(4)] == [first, 2 * first, 4 * first, 8 * first]


def test_a_trial_that_is_due_stays_due_until_a_request_is_sent():
    trial = LimitTrial(50.0)
    for _ in range(100):
        assert not trial.is_due
        trial.refused()
    assert [trial.is_due for _ in range(5)] == [True] * 5


@pytest.mark.parametrize("refusals", [0, 1, 199])
def test_a_request_that_is_sent_before_a_trial_is_due_is_none(refusals):
    trial = LimitTrial(50.0)
    refused(trial)
    for _ in range(refusals):
        trial.refused()
    assert not trial.sent()
