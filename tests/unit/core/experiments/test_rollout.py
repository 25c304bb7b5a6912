import math

import pytest

from router_backend.core.experiments.rollout import RolloutStep, check_rollout, fraction_after
from router_backend.errors import ConfigurationError

STEPS = (RolloutStep(60.0, 0.2), RolloutStep(120.0, 0.5))


@pytest.mark.parametrize(
    ("elapsed_s", "fraction"), [(0.0, 0.1), (59.9, 0.1), (60.0, 0.2), (119.9, 0.2), (120.0, 0.5), (1e9, 0.5)]
)
def test_each_step_applies_from_its_time_on(elapsed_s, fraction):
    assert fraction_after(0.1, STEPS, elapsed_s) == fraction


@pytest.mark.parametrize("after_s", [0.0, -1.0, math.nan, math.inf])
def test_a_step_without_a_time_is_refused(after_s):
    with pytest.raises(ConfigurationError, match=f"after_s: expected a number above 0, found {after_s}$"):
        RolloutStep(after_s, 0.5)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan])
def test_a_step_without_a_share_is_refused(fraction):
    with pytest.raises(ConfigurationError, match="fraction: expected a number from 0 to 1, found"):
        RolloutStep(1.0, fraction)


@pytest.mark.parametrize(
    "steps",
    [
        STEPS[::-1],
        (RolloutStep(60.0, 0.1),),
        (RolloutStep(60.0, 0.05),),
        (STEPS[0], RolloutStep(60.0, 0.3)),
        (STEPS[0], RolloutStep(90.0, 0.2)),
    ],
)
def test_steps_that_are_not_later_and_larger_are_refused(steps):
    with pytest.raises(ConfigurationError, match="rollout: expected each step later and larger"):
        check_rollout(0.1, steps)


def test_a_first_step_may_come_within_the_first_second():
    check_rollout(0.1, (RolloutStep(0.5, 0.2),))
