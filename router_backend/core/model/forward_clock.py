"""A clock that never goes back."""

from collections.abc import Callable
from math import inf, isfinite

MAX_STEP_S = 0.05
"""A step back by more is a jump; threads that read the clock in turn see smaller ones."""


class ForwardClock:
    """Continues from the time before when a clock jumps back, so that no time to wait for is far ahead.

    Breakers, backoffs, fading averages and requests in flight keep times of the clock. After a jump back by
    an hour, all of these would be an hour ahead: a breaker would stay open, and a wait would be predicted to
    be an hour longer. A jump ahead does no harm: what was waited for is due. A reading that is not finite is
    ignored, since no later one could follow it.

    Args:
        clock: returns seconds.

    Examples:
        >>> times_s = iter([100.0, 101.0, 5.0, 6.0])
        >>> clock = ForwardClock(times_s.__next__)
        >>> [clock() for _ in range(4)]
        [100.0, 101.0, 101.0, 102.0]
    """

    __slots__ = ("_behind_s", "_clock", "_latest_s")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._behind_s = 0.0
        self._latest_s = -inf

    def __call__(self) -> float:
        """Return the time in seconds, at least that of the last call."""
        now_s = self._clock() + self._behind_s
        latest_s = self._latest_s
        if not isfinite(now_s):
            return latest_s
        if now_s >= latest_s:
            self._latest_s = now_s
            return now_s
        if latest_s - now_s > MAX_STEP_S:
            self._behind_s += latest_s - now_s
        return latest_s
