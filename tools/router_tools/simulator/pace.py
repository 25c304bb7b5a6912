"""How fast a variant works at which time: drift and stalls as one timeline."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Slowdown(NamedTuple):
    """From a time to a time, everything takes `factor` times as long; infinite: nothing moves.

    Args:
        from_s: when it begins.
        to_s: when it ends.
        factor: how much longer work takes.
    """

    from_s: float
    to_s: float
    factor: float


class Pace:
    """Work done per second over time: 1, less during slowdowns; overlapping ones multiply.

    Args:
        slowdowns: when the variant is slower, and by how much.

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
        """When work of `work_s` > 0 (at full speed) is done that starts at `start_s`."""
        if self.steady:
            return start_s + work_s
        target_s = self._work_done_s(start_s) + work_s
        segment = bisect_left(self._done_s, target_s) - 1
        if segment == 0:
            return target_s
        return self._starts_s[segment] + (target_s - self._done_s[segment]) / self._rates[segment]

    def work_s(self, from_s: float, to_s: float) -> float:
        """How much work is done from a time to a later one."""
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
    """Work done by each start, counted so that before the first slowdown it equals the time."""
    if len(starts_s) == 1:
        return [float("-inf")]
    done_s = [float("-inf"), starts_s[1]]
    for (start_s, end_s), rate in zip(pairwise(starts_s[1:]), rates[1:], strict=False):
        done_s.append(done_s[-1] + (end_s - start_s) * rate)
    return done_s
