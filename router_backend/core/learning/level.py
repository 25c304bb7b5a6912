"""Drift: how much slower or faster a variant currently is than its long-term law predicts."""

import math

FADE = 7.0 / 8.0
MEMORY_S = 10.0
SPREAD = 0.15
"""Standard deviation τ of the true level."""
FRESH_S = 0.1
"""Time for which the level counts as just observed: what it fades by is below the noise of any device."""


class LevelFilter:
    """A correction factor g that follows recent observations: g = (A·f + k)/(B·f + k).

    A and B are decayed sums of observed / predicted and of 1, by 7/8 per observation. f = e^(-Δt / 10 s) is
    what is left of them Δt after the last observation, so g returns to 1 while the variant is not seen. The
    prior weighs k = max(1, σ²/τ²) observations, where σ² is the variance of one observation and τ the
    spread of true levels: eight answers of a noisy variant say little about its level. It is the gain of a
    Kalman filter for a level that returns to 1 (an Ornstein-Uhlenbeck process), in information form.

    Attributes:
        value: g at the last observation.
        updated_s: the time of the last observation.

    References:
        Harvey, Forecasting, Structural Time Series Models and the Kalman Filter, 1989.

    Examples:
        >>> level = LevelFilter()
        >>> for second in range(40):
        ...     level.update(2.5, now_s=0.1 * second)
        >>> round(level.get(3.9), 1), round(level.get(60.0), 1)
        (2.3, 1.0)
    """

    __slots__ = ("_prior", "_ratios", "_steady", "_weights", "updated_s", "value")

    def __init__(self) -> None:
        self._ratios = self._weights = 0.0
        self._prior = 1.0
        # The sums as of before the outliers that may have been accidents.
        self._steady: tuple[float, float] | None = None
        self.updated_s = 0.0
        self.value = 1.0

    def update(self, ratio: float, now_s: float, variance: float = 0.0) -> None:
        """Learn that an observation at `now_s` was `ratio` times its prediction.

        Args:
            ratio: observed / predicted.
            now_s: the time.
            variance: the variance of its logarithm.
        """
        elapsed_s = now_s - self.updated_s
        fade = FADE * math.exp(-elapsed_s / MEMORY_S) if elapsed_s > 0.0 else FADE
        self.updated_s = now_s
        self._ratios = self._ratios * fade + ratio
        self._weights = self._weights * fade + 1.0
        prior = variance / (SPREAD * SPREAD)
        self._prior = prior = prior if prior > 1.0 else 1.0
        self.value = (self._ratios + prior) / (self._weights + prior)

    def doubt(self, ratio: float, now_s: float, variance: float) -> None:
        """Learn an outlier for the time being: it may be the first of many, or an accident."""
        steady = self._steady or (self._ratios, self._weights)
        self.update(ratio, now_s, variance)
        self._steady = steady

    def settle(self) -> None:
        """Forget outliers that were accidents, as an ordinary observation shows."""
        if self._steady is not None:
            self._ratios, self._weights = self._steady
            self._steady = None
            self.value = (self._ratios + self._prior) / (self._weights + self._prior)

    def get(self, now_s: float) -> float:
        """Return the factor at a time after the last observation."""
        unseen_s = now_s - self.updated_s
        if unseen_s < FRESH_S:
            return self.value
        left = math.exp(-unseen_s / MEMORY_S)
        return (self._ratios * left + self._prior) / (self._weights * left + self._prior)

    def reset(self) -> None:
        """Set the factor back to 1."""
        self._ratios = self._weights = 0.0
        self._steady = None
        self.value = 1.0
