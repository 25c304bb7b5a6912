"""Gradual rollout: the share of units that get the treatment over time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from router_backend.errors import require


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """The share of units that get the treatment, from some time on.

    Args:
        after_s: seconds since the start of the experiment, above 0.
        fraction: the share of the participating units.
    """

    after_s: float
    fraction: float

    def __post_init__(self) -> None:
        """Reject an invalid time or share.

        Raises:
            ConfigurationError: one of them is out of range.
        """
        require(0.0 < self.after_s < math.inf, "after_s", "a number above 0", self.after_s)
        check_fraction(self.fraction)


def check_fraction(fraction: float) -> None:
    """Reject an invalid share.

    Raises:
        ConfigurationError: it is not from 0 to 1.
    """
    fix = "0.1 gives the treatment to 10 %"
    require(0.0 <= fraction <= 1.0, "fraction", "a number from 0 to 1", fraction, fix=fix)


def check_rollout(fraction: float, rollout: Sequence[RolloutStep]) -> None:
    """Reject steps that take the treatment away from units, or are out of order.

    Raises:
        ConfigurationError: a step is not later than the one before it, or its fraction is not larger.
    """
    after_s = 0.0
    for step in rollout:
        valid = step.after_s > after_s and step.fraction > fraction
        found = f"{step.fraction:g} after {step.after_s:g} s behind {fraction:g} after {after_s:g} s"
        require(valid, "rollout", "each step later and larger than the one before", found, fix="sort them")
        after_s, fraction = step.after_s, step.fraction


def fraction_after(fraction: float, rollout: Sequence[RolloutStep], elapsed_s: float) -> float:
    """Return the share of units that get the treatment after some time; `fraction` is the share at the start.

    Examples:
        >>> fraction_after(0.1, [RolloutStep(3600.0, 0.5)], elapsed_s=60.0)
        0.1
        >>> fraction_after(0.1, [RolloutStep(3600.0, 0.5)], elapsed_s=7200.0)
        0.5
    """
    for step in rollout:
        if elapsed_s < step.after_s:
            break
        fraction = step.fraction
    return fraction
