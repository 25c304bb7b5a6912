"""Cliffs in the service time: what an affine law gets wrong at batch sizes of one power of two."""

from __future__ import annotations

from collections.abc import Mapping
from math import frexp

EMPTY_BUCKET = (0.0, 0.0)
"""Sum of ratios and sum of weights of a bucket without observations."""

DECAY = 1.0 - 1.0 / 64.0
PRIOR_WEIGHT = 2.0


class BucketResidual:
    """A correction factor β for each log2 bucket of the size: β = (Σr + 2)/(n + 2).

    Real devices have cliffs that no line describes: a published CPU table jumps 8.5 times between batch 8
    and 16. r is observed / predicted. Two pseudo-observations of 1 shrink β towards 1 while a bucket has few
    observations. A bucket's sums decay by 1/64 with each of its observations.

    Attributes:
        factors: β by bucket, the exponent of `math.frexp`.

    Examples:
        >>> residual = BucketResidual()
        >>> for _ in range(30):
        ...     factor = residual.update(16, 2.0)
        >>> round(residual.get(16), 1), residual.get(8)
        (1.9, 1.0)
    """

    __slots__ = ("_sums", "factors")

    def __init__(self) -> None:
        self._sums: dict[int, tuple[float, float]] = {}
        self.factors: dict[int, float] = {}

    def update(self, x: float, ratio: float) -> float:
        """Learn observed / predicted at size x > 0, and return the updated factor at this size."""
        bucket = frexp(x)[1]
        total, weight = self._sums.get(bucket, EMPTY_BUCKET)
        total = total * DECAY + ratio
        weight = weight * DECAY + 1.0
        self._sums[bucket] = (total, weight)
        factor = self.factors[bucket] = (total + PRIOR_WEIGHT) / (weight + PRIOR_WEIGHT)
        return factor

    def get(self, x: float) -> float:
        """Return the factor at size x; 1 if its bucket has no observations."""
        return self.factors.get(frexp(x)[1], 1.0)

    @classmethod
    def of(cls, sums: Mapping[int, tuple[float, float]]) -> BucketResidual:
        """Return the factors that follow from sums of ratios and of weights by bucket."""
        residual = cls()
        for bucket, (total, weight) in sums.items():
            residual._sums[bucket] = (total, weight)
            residual.factors[bucket] = (total + PRIOR_WEIGHT) / (weight + PRIOR_WEIGHT)
        return residual

    def learned(self) -> dict[int, tuple[float, float]]:
        """Return the sum of ratios and the sum of weights of each bucket."""
        return dict(self._sums)

    def copy(self) -> BucketResidual:
        """Return an independent copy."""
        twin = BucketResidual()
        twin._sums = dict(self._sums)
        twin.factors = dict(self.factors)
        return twin

    def reset(self) -> None:
        """Set every factor back to 1."""
        self._sums.clear()
        self.factors.clear()
