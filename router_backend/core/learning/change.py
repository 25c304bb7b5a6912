"""Detection of sudden changes in a variant's service time, by a cumulative sum (CUSUM)."""

import math

SLACK = 1.0
THRESHOLD = 8.0
DECAY = 1.0 - 1.0 / 64.0
MAX_Z = 5.0
MIN_SIGMA = 0.05
INITIAL_SIGMA = 0.3
WINSORIZE_SIGMAS = 3.0


class ChangeDetector:
    """Two-sided CUSUM on z = ln(observed / predicted) / σ with slack 1 and threshold 8.

    z is clipped to ±5, so an alarm takes at least three observations and one stall cannot raise it. σ² is an
    exponentially weighted mean of the squared log ratios, each winsorized at 3σ so that a change does not
    inflate σ before it is detected.

    Attributes:
        alarms: the number of changes detected.
        variance: σ².

    References:
        Page, Continuous inspection schemes, Biometrika 41 (1954).

    Examples:
        >>> detector = ChangeDetector()
        >>> any(detector.update(0.05 * (-1) ** i) for i in range(100))
        False
        >>> [detector.update(1.0) for _ in range(4)].index(True)
        2
    """

    __slots__ = ("_above", "_below", "alarms", "variance")

    def __init__(self) -> None:
        self._above = self._below = 0.0
        self.variance = INITIAL_SIGMA**2
        self.alarms = 0

    def update(self, log_ratio: float) -> bool:
        """Learn one ln(observed / predicted); return whether it raised an alarm, which restarts the sums."""
        sigma = math.sqrt(self.variance)
        if sigma < MIN_SIGMA:
            sigma = MIN_SIGMA
        error = abs(log_ratio)  # comparisons are faster than min and max, and every response passes here
        winsorized = error if error < WINSORIZE_SIGMAS * sigma else WINSORIZE_SIGMAS * sigma
        self.variance = self.variance * DECAY + winsorized * winsorized * (1.0 - DECAY)
        if error <= SLACK * sigma and self._above == 0.0 == self._below:
            return False  # the usual case
        z = log_ratio / sigma if error < MAX_Z * sigma else math.copysign(MAX_Z, log_ratio)
        above, below = self._above + z - SLACK, self._below - z - SLACK
        self._above = above if above > 0.0 else 0.0
        self._below = below if below > 0.0 else 0.0
        if above <= THRESHOLD and below <= THRESHOLD:
            return False
        self.restart()
        self.alarms += 1
        return True

    @property
    def is_quiet(self) -> bool:
        """Whether the latest observations were no surprise."""
        return self._above == 0.0 == self._below

    def restart(self) -> None:
        """Set the sums back to 0."""
        self._above = self._below = 0.0
