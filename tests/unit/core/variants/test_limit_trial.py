import pytest

from router_backend.core.variants.limit_trial import LimitTrial


def refused(trial: LimitTrial) -> int:
    """Return how many requests are refused before one is sent."""
    count = 0
    while trial.refuses():
        count += 1
    assert trial.sent()
    return count


def test_each_trial_comes_after_twice_as_many_refusals():
    trial = LimitTrial()
    assert [refused(trial) for _ in range(4)] == [100, 200, 400, 800]


def test_a_trial_that_is_due_stays_due_until_a_request_is_sent():
    trial = LimitTrial()
    assert [trial.refuses() for _ in range(105)] == [True] * 100 + [False] * 5


@pytest.mark.parametrize("refusals", [0, 1, 199])
def test_a_request_that_is_sent_before_a_trial_is_due_is_none(refusals):
    trial = LimitTrial()
    refused(trial)
    assert all(trial.refuses() for _ in range(refusals))
    assert not trial.sent()
