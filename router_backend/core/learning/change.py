"""Sudden change of a variant's law: noticed by a cumulative sum of surprises."""

import math

SLACK = 1.0
THRESHOLD = 8.0
DECAY = 1.0 - 1.0 / 64.0
HELD_AT = 5.0
SIGMA_FLOOR = 0.05
SIGMA_START = 0.3
HELD_AT_SIGMAS = 3.0


class ChangeDetector:
    """Two-sided CUSUM on z = ln(observed / predicted) / σ with slack 1 and threshold 8.

    z is held at ±5, so that it takes three observations to alarm: one stall is no change. σ² is a decayed
    mean of the squared log ratios, each held at 3σ so that the change which is to be
    noticed does not widen it first.

    References:
        Page, Continuous inspection schemes, Biometrika 41 (1954).

    Examples:
        >>> detector = ChangeDetector()
        >>> any(detector.update(0.05 * (-1) ** i) for i in range(100))
        False
        >>> [detector.update(1.0) for _ in range(4)].index(True)
        2
    """

    __slots__ = ("_above", "_below", "_variance", "alarms")

    def __init__(self) -> None:
        self._above = self._below = 0.0
        self._variance = SIGMA_START**2
        self.alarms = 0

    def update(self, log_ratio: float) -> bool:
        """Learn one surprise ln(observed / predicted); True when the law must have changed."""
        sigma = math.sqrt(self._variance)
        if sigma < SIGMA_FLOOR:
            sigma = SIGMA_FLOOR
        size = abs(log_ratio)  # comparisons instead of min and max: every answer passes here
        held = size if size < HELD_AT_SIGMAS * sigma else HELD_AT_SIGMAS * sigma
        self._variance = self._variance * DECAY + held * held * (1.0 - DECAY)
        if size <= SLACK * sigma and self._above == 0.0 == self._below:
            return False  # no surprise, as most of the time
        z = log_ratio / sigma if size < HELD_AT * sigma else math.copysign(HELD_AT, log_ratio)
        above, below = self._above + z - SLACK, self._below - z - SLACK
        self._above = above if above > 0.0 else 0.0
        self._below = below if below > 0.0 else 0.0
        if above <= THRESHOLD and below <= THRESHOLD:
            return False
        self._above = self._below = 0.0
        self.alarms += 1
        return True
