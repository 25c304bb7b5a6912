"""Cliffs of the service time: what an affine law gets wrong at sizes of one order."""

import math

NOTHING = (0.0, 0.0)
"""The sums of ratios and of weights before the first observation."""

DECAY = 1.0 - 1.0 / 64.0
PRIOR_WEIGHT = 2.0


class BucketResidual:
    """A factor β on the prediction per log2 bucket of the size: β = (Σr + 2)/(n + 2).

    Attributes:
        factors: β by bucket, the exponent of `math.frexp`.

    Real devices have cliffs (a published CPU table jumps 8.5 times between batch 8 and 16) that no line
    describes. r is observed / predicted; two imaginary observations of 1 hold the factor back until a
    bucket has seen some; 1/64 of a bucket's weight is lost with each of its observations.

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
        """Learn that at size x > 0 the observed time was `ratio` times the predicted one; the new factor."""
        bucket = math.frexp(x)[1]
        total, weight = self._sums.get(bucket, NOTHING)
        total = total * DECAY + ratio
        weight = weight * DECAY + 1.0
        self._sums[bucket] = (total, weight)
        factor = self.factors[bucket] = (total + PRIOR_WEIGHT) / (weight + PRIOR_WEIGHT)
        return factor

    def get(self, x: float) -> float:
        """The factor at size x; 1 where nothing was seen."""
        return self.factors.get(math.frexp(x)[1], 1.0)

    def reset(self) -> None:
        """Forget every cliff: the device's law has changed."""
        self._sums.clear()
        self.factors.clear()
