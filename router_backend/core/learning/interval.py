"""How far the observed latency may lie from the predicted one."""

STEP = 0.05
START = 0.5


class ConformalInterval:
    """Adaptive conformal half-width θ of |ln(observed / predicted)| at a stated coverage q.

    θ += 0.05·(1[|r| > θ] - (1 - q)): it widens when an observation falls outside and narrows a little
    when it falls inside, so that the share inside tends to q whatever the distribution, drift included.

    References:
        Gibbs and Candès, Adaptive conformal inference under distribution shift, arXiv 2106.00170.

    Examples:
        >>> interval = ConformalInterval(coverage=0.9)
        >>> for i in range(2000):
        ...     interval.update(0.01 * (37 * i % 100))
        >>> 0.8 < interval.get() < 1.0
        True
    """

    __slots__ = ("_narrow", "_widen", "half_width")

    def __init__(self, coverage: float) -> None:
        self._widen = STEP * coverage
        self._narrow = STEP * (1.0 - coverage)
        self.half_width = START

    def update(self, log_ratio: float) -> None:
        """Learn one error ln(observed / predicted)."""
        if abs(log_ratio) > self.half_width:
            self.half_width += self._widen
        else:
            narrower = self.half_width - self._narrow
            self.half_width = narrower if narrower > 0.0 else 0.0

    def get(self) -> float:
        """The half-width: the interval is predicted · e^(±θ)."""
        return self.half_width
