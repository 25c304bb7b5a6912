"""Speed of a variant over time, as affected by drift and stalls."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Slowdown(NamedTuple):
    """A period in which work takes `factor` times as long.

    Args:
        from_s: start of the period.
        to_s: end of the period.
        factor: factor on the service time; infinite if the variant stalls.
    """

    from_s: float
    to_s: float
    factor: float


class Pace:
    """Work done per second over time: 1, or less during slowdowns; overlapping slowdowns multiply.

    Args:
        slowdowns: the periods in which the variant is slower.

    Attributes:
        steady: whether there are no slowdowns.

    Examples:
        >>> pace = Pace([Slowdown(10.0, 20.0, 2.5)])
        >>> pace.finish_s(0.0, 4.0), pace.finish_s(10.0, 2.0), pace.finish_s(9.0, 2.0)
        (4.0, 15.0, 12.5)
    """

    __slots__ = ("_done_s", "_rates", "_starts_s", "steady")

    def __init__(self, slowdowns: Sequence[Slowdown] = ()) -> None:
        self.steady = not slowdowns
        edges = {edge for slowdown in slowdowns for edge in slowdown[:2]}
        self._starts_s = [float("-inf"), *sorted(edges)]
        self._rates = [_rate(start_s, slowdowns) for start_s in self._starts_s]
        self._done_s = _done(self._starts_s, self._rates)

    def finish_s(self, start_s: float, work_s: float) -> float:
        """Return when work that starts at `start_s` and takes `work_s` > 0 at full speed is done."""
        if self.steady:
            return start_s + work_s
        target_s = self._work_done_s(start_s) + work_s
        segment = bisect_left(self._done_s, target_s) - 1
        if segment == 0:
            return target_s
        return self._starts_s[segment] + (target_s - self._done_s[segment]) / self._rates[segment]

    def work_s(self, from_s: float, to_s: float) -> float:
        """Return the work done between two times, in seconds at full speed."""
        if self.steady:
            return to_s - from_s
        return self._work_done_s(to_s) - self._work_done_s(from_s)

    def _work_done_s(self, time_s: float) -> float:
        segment = bisect_right(self._starts_s, time_s) - 1
        if segment == 0:
            return time_s
        return self._done_s[segment] + (time_s - self._starts_s[segment]) * self._rates[segment]


def _rate(start_s: float, slowdowns: Sequence[Slowdown]) -> float:
    rate = 1.0
    for from_s, to_s, factor in slowdowns:
        if from_s <= start_s < to_s:
            rate /= factor
    return rate


def _done(starts_s: list[float], rates: list[float]) -> list[float]:
    """Return the work done up to the start of each segment; before the first slowdown, it equals the time."""
    if len(starts_s) == 1:
        return [float("-inf")]
    done_s = [float("-inf"), starts_s[1]]
    for (start_s, end_s), rate in zip(pairwise(starts_s[1:]), rates[1:], strict=False):
        done_s.append(done_s[-1] + (end_s - start_s) * rate)
    return done_s
