"""How many calls may be made to each variant at a time, so that one that hangs leaves room for others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection
from typing import Generic, Protocol, TypeVar


class ToVariant(Protocol):
    """A call to a variant."""

    @property
    def variant(self) -> str:
        """The variant's name."""


Call = TypeVar("Call", bound=ToVariant)


class CallSlots(Generic[Call]):
    """Slots for calls, each of which holds a thread until its variant answers. Thread-safe.

    Half of the slots is reserved, in equal parts, at least one for each variant; the other half is for any
    of them. So a variant that never answers cannot take all, and a lone variant may use all.

    Args:
        variants: their names, at least one.
        slots: how many there are; one for each variant if this is more.

    Attributes:
        total: how many calls may be made at a time.

    Examples:
        >>> from collections import namedtuple
        >>> To = namedtuple("To", "variant")
        >>> slots = CallSlots(["a", "b"], 8)
        >>> [slots.enter(To("a")) for _ in range(7)]
        [True, True, True, True, True, True, False]
        >>> slots.enter(To("b"))
        True
        >>> slots.leave("b") is None, slots.leave("a")
        (True, To(variant='a'))
    """

    def __init__(self, variants: Collection[str], slots: int) -> None:
        self._reserved = max(1, slots // (2 * len(variants)))
        self._shared = max(0, slots - self._reserved * len(variants))
        self.total = self._reserved * len(variants) + self._shared
        self._taken = dict.fromkeys(variants, 0)
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()

    def enter(self, call: Call) -> bool:
        """Take a slot and return `True`, or let the call wait for one."""
        with self._lock:
            if self._take(call.variant):
                return True
            self._waiting.append(call)
            return False

    def leave(self, variant: str) -> Call | None:
        """Give a slot back; return a call that waited and has a slot now, if there is one."""
        with self._lock:
            self._give_back(variant)
            for call in self._waiting:
                if self._take(call.variant):
                    self._waiting.remove(call)
                    return call
            return None

    def waits(self, call: Call) -> bool:
        """Return whether a call waits."""
        with self._lock:
            return call in self._waiting

    def withdraw(self, call: Call) -> bool:
        """Let a call no longer wait; return whether it did."""
        with self._lock:
            waits = call in self._waiting
            if waits:
                self._waiting.remove(call)
            return waits

    def _take(self, variant: str) -> bool:
        taken = self._taken[variant]
        if taken >= self._reserved:
            if not self._shared:
                return False
            self._shared -= 1
        self._taken[variant] = taken + 1
        return True

    def _give_back(self, variant: str) -> None:
        taken = self._taken[variant] - 1
        self._taken[variant] = taken
        if taken >= self._reserved:
            self._shared += 1
