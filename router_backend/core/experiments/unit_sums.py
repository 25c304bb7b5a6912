"""An interval for a mean whose observations depend on each other within each unit."""

import math
from array import array
from operator import add
from zlib import crc32


class UnitSums:
    """Sums of estimates by unit, in a fixed number of buckets.

    A unit that keeps its arm has one random draw, however many requests it sends. With the sum Z and the
    number n of the estimates in each bucket, the interval has every mean d that is at most k standard errors
    away if units, not estimates, are independent:

        |Σ (Z - n·d)| ≤ k · √Σ (Z - n·d)².

    Since d is the same on both sides, no number of units is too small for the inequality: sums of independent
    symmetric terms exceed k times the root of their squares with probability 2·e^(-k²/2) at most. The
    interval is finite if there are more than k² units of equal n. Units of the same bucket count as one,
    which leaves it valid. An estimate without a unit is a unit of its own, so any bucket will do.

    References:
        Sums by cluster: Liang and Zeger, Longitudinal data analysis using generalized linear models,
        Biometrika 73 (1986). Self-normalized sums: de la Peña, Lai and Shao, Self-Normalized Processes, 2009.

    Examples:
        >>> sums = UnitSums()
        >>> for number in range(400):
        ...     sums.update(number % 2 == 0, 1.0 + 0.5 * (number % 3), f"user-{number % 40}", number)
        >>> low, high = sums.interval(deviations_squared=9.0)
        >>> low < 1.5 < high
        True
    """

    BUCKETS = 128
    MIN_UNITS_PER_ARM = 5.0

    __slots__ = ("_of_control", "_of_treatment", "_sums")

    def __init__(self) -> None:
        self._sums, self._of_control, self._of_treatment = (
            array("d", bytes(8 * self.BUCKETS)) for _ in range(3)
        )

    def update(self, treated: bool, estimate: float, unit: str, number: int) -> None:
        """Add an estimate; `number` is how many there were, to spread those without a unit."""
        bucket = (crc32(unit.encode()) if unit else number) % self.BUCKETS
        self._sums[bucket] += estimate
        (self._of_treatment if treated else self._of_control)[bucket] += 1.0

    def interval(self, deviations_squared: float) -> tuple[float, float] | None:
        """Return the bounds for k²; `None` if they are infinite, or an arm has too few units."""
        if min(_equal_units(self._of_control), _equal_units(self._of_treatment)) < self.MIN_UNITS_PER_ARM:
            return None
        n, z = array("d", map(add, self._of_control, self._of_treatment)), self._sums
        # The bounds are the roots of a·d² - 2·b·d + c.
        a = sum(n) ** 2 - deviations_squared * _dot(n, n)
        b = sum(n) * sum(z) - deviations_squared * _dot(n, z)
        c = sum(z) ** 2 - deviations_squared * _dot(z, z)
        if a <= 0.0:
            return None
        width = math.sqrt(max(0.0, b * b - a * c))
        return (b - width) / a, (b + width) / a


def _equal_units(counts: "array[float]") -> float:
    """Return how many units of equal size vary as much as these: (Σn)² / Σn²."""
    squares = _dot(counts, counts)
    return sum(counts) ** 2 / squares if squares else 0.0


def _dot(left: "array[float]", right: "array[float]") -> float:
    return sum(x * y for x, y in zip(left, right, strict=True))
