"""Prediction interval of the latency."""

import math

STEP = 0.25
INITIAL_HALF_WIDTH = 0.5
MIN_HALF_WIDTH = 0.001


class ConformalInterval:
    """Adaptive conformal half-width θ of |ln(observed / predicted)| for a target coverage q.

    ln θ += 0.25·(1[|r| > θ] - (1 - q)): the interval widens when an observation falls outside it and narrows
    a little when one falls inside. The total movement of ln θ is the step times the number of misses in
    excess of the expected share, so the coverage tends to q for any distribution, drift included. The step is
    taken in ln θ rather than in θ as published, so the interval fits a device that varies by 0.1 % as well as
    one that varies by 50 %; with a step in θ, the interval of the former is empty or ten times too wide.

    Args:
        coverage: the target coverage q, between 0 and 1.

    Attributes:
        half_width: θ.

    References:
        Gibbs and Candès, Adaptive conformal inference under distribution shift, arXiv 2106.00170.

    Examples:
        >>> interval = ConformalInterval(coverage=0.9)
        >>> for i in range(2000):
        ...     interval.update(0.01 * (37 * i % 100))
        >>> 0.7 < interval.get() < 1.1
        True
    """

    __slots__ = ("_narrow", "_widen", "half_width")

    def __init__(self, coverage: float) -> None:
        self._widen = math.exp(STEP * coverage)
        self._narrow = math.exp(-STEP * (1.0 - coverage))
        self.half_width = INITIAL_HALF_WIDTH

    def update(self, log_ratio: float) -> None:
        """Learn one prediction error ln(observed / predicted)."""
        if abs(log_ratio) > self.half_width:
            self.half_width *= self._widen
        else:
            narrower = self.half_width * self._narrow
            self.half_width = narrower if narrower > MIN_HALF_WIDTH else MIN_HALF_WIDTH

    def get(self) -> float:
        """Return the half-width θ: the interval is predicted · e^(±θ)."""
        return self.half_width
