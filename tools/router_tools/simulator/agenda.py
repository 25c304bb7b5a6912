"""Simulated time and the event queue."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

Action = Callable[..., None]


class Agenda:
    """Event queue: runs events in order of time, and events of the same time in order of insertion.

    Attributes:
        now_s: the simulated time, which is also the router's clock.

    Examples:
        >>> agenda = Agenda()
        >>> agenda.plan(2.0, print, "second")
        >>> agenda.plan(1.0, print, "first")
        >>> agenda.run_until(5.0)
        first
        second
        >>> agenda.now_s
        5.0
    """

    __slots__ = ("_counter", "_events", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._events: list[tuple[float, int, Action, Any]] = []
        self._counter = itertools.count()

    def clock(self) -> float:
        """Return the simulated time in seconds; the router uses this method as its clock."""
        return self.now_s

    def plan(self, time_s: float, action: Action, argument: Any) -> None:
        """Schedule a call of `action(argument)` at a time that is not in the past."""
        heapq.heappush(self._events, (time_s, next(self._counter), action, argument))

    def run_until(self, time_s: float) -> None:
        """Run all events up to and including a time, then set the clock to that time."""
        events = self._events
        while events and events[0][0] <= time_s:
            self.now_s, _, action, argument = heapq.heappop(events)
            action(argument)
        self.now_s = time_s

    def run_out(self) -> None:
        """Run all events, including those scheduled meanwhile."""
        events = self._events
        while events:
            self.now_s, _, action, argument = heapq.heappop(events)
            action(argument)
