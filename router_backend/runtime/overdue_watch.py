"""Calls what is due at its time, unless it is done before: one thread for all calls of a router."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import inf
from typing import Protocol

from router_backend.errors import DEFECTS


class Due(Protocol):
    """Something that has to be done by a time.

    Attributes:
        due_s: that time, by the monotonic clock.
    """

    due_s: float

    def passed(self) -> None:
        """Called once that time has passed, by the thread of the watch; must not block."""


class OverdueWatch:
    """Watches what is due. Thread-safe.

    Nearly everything is done long before it is due, so adding and removing must cost little: neither wakes
    the thread, unless what is added is due before the thread wakes by itself. It sleeps until the earliest of
    what was there when it looked last is due.

    Args:
        on_defect: receives what `passed` raises.
    """

    def __init__(self, on_defect: Callable[[BaseException], object]) -> None:
        self._on_defect = on_defect
        self._watched: dict[Due, None] = {}  # single operations on a dict need no lock
        self._wakes_s = inf
        self._woken = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="router-overdue", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._woken.set()
        self._thread.join()

    def add(self, due: Due) -> None:
        """Watch something that has a time."""
        if due.due_s < inf:
            self._watched[due] = None
            if due.due_s < self._wakes_s:
                self._woken.set()

    def remove(self, due: Due) -> None:
        """Watch something no longer; it may have passed."""
        self._watched.pop(due, None)

    def _run(self) -> None:
        while not self._ended:
            self._woken.clear()
            self._wakes_s = inf  # so what is added from here on wakes this thread
            self._wakes_s = self._handle_passed()
            pause_s = self._wakes_s - time.monotonic()
            self._woken.wait(None if pause_s == inf else max(0.0, pause_s))

    def _handle_passed(self) -> float:
        """Handle what is due, and return when the next is."""
        now_s = time.monotonic()
        earliest_s = inf
        for due in list(self._watched):
            if due.due_s > now_s:
                earliest_s = min(earliest_s, due.due_s)
            elif self._watched.pop(due, self) is None:
                self._handle(due)
        return earliest_s

    def _handle(self, due: Due) -> None:
        try:
            due.passed()
        except DEFECTS as defect:  # the others are still to be watched
            self._on_defect(defect)
