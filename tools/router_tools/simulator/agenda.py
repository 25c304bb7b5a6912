"""Simulated time, and what is to happen at which time."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

Action = Callable[..., None]


class Agenda:
    """Events in the order of their times; those of one time in the order of their planning.

    Attributes:
        now_s: the simulated time; what the router's clock reads.

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
        """The simulated time in seconds, as a function: the router's clock."""
        return self.now_s

    def plan(self, time_s: float, action: Action, argument: Any) -> None:
        """Have `action(argument)` called at a time that is not past."""
        heapq.heappush(self._events, (time_s, next(self._counter), action, argument))

    def run_until(self, time_s: float) -> None:
        """Let everything happen that is planned up to that time, and let it become that time."""
        events = self._events
        while events and events[0][0] <= time_s:
            self.now_s, _, action, argument = heapq.heappop(events)
            action(argument)
        self.now_s = time_s

    def run_out(self) -> None:
        """Let everything happen that is planned, and what that plans."""
        events = self._events
        while events:
            self.now_s, _, action, argument = heapq.heappop(events)
            action(argument)
