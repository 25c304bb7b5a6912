"""Drift: how much slower or faster a variant currently is than its long-term law predicts."""

import math

FADE = 7.0 / 8.0
MEMORY_S = 10.0


class LevelFilter:
    """A correction factor g that follows recent observations: g = (A + 1)/(B + 1).

    A and B are decayed sums of observed / predicted and of 1. They decay by 7/8 per observation and by
    e^(-Δt / 10 s) over time, so g returns to 1 after a while without observations.

    Attributes:
        value: g.

    Examples:
        >>> level = LevelFilter()
        >>> for second in range(40):
        ...     level.update(2.5, now_s=0.1 * second)
        >>> round(level.get(), 1)
        2.3
    """

    __slots__ = ("_ratios", "_updated_s", "_weights", "value")

    def __init__(self) -> None:
        self._ratios = self._weights = 0.0
        self._updated_s = 0.0
        self.value = 1.0

    def update(self, ratio: float, now_s: float) -> None:
        """Learn that an observation at `now_s` was `ratio` times its prediction."""
        elapsed_s = now_s - self._updated_s
        fade = FADE * math.exp(-elapsed_s / MEMORY_S) if elapsed_s > 0.0 else FADE
        self._updated_s = now_s
        self._ratios = self._ratios * fade + ratio
        self._weights = self._weights * fade + 1.0
        self.value = (self._ratios + 1.0) / (self._weights + 1.0)

    def get(self) -> float:
        """Return the factor as of the last observation."""
        return self.value

    def reset(self) -> None:
        """Set the factor back to 1."""
        self._ratios = self._weights = 0.0
        self.value = 1.0
