"""How many calls may be made to each variant at a time, so that one that hangs leaves room for others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection
from typing import Generic, Protocol, TypeVar

REPLACED = 6
"""The highest number of slots that replace those of lost calls, which keep their threads."""


class ToVariant(Protocol):
    """A call to a variant."""

    @property
    def variant(self) -> str:
        """The variant's name."""

    @property
    def is_lost(self) -> bool:
        """Whether it is overdue and its variant serves others, so that it may never end."""


Call = TypeVar("Call", bound=ToVariant)


class CallSlots(Generic[Call]):
    """Slots for calls, each of which holds a thread until its variant answers. Thread-safe.

    Half of the slots is reserved, in equal parts, at least one for each variant; the other half is for any
    of them. So a variant that never answers cannot take all, and a lone variant may use all.

    The slots of `REPLACED` lost calls, in equal parts for each variant, are void: other calls get them.

    Args:
        variants: their names, at least one.
        slots: how many there are; one for each variant if this is more.

    Attributes:
        total: how many calls may be made at a time, without those that are lost.

    Examples:
        >>> from collections import namedtuple
        >>> To = namedtuple("To", "variant is_lost", defaults=(False,))
        >>> slots, calls = CallSlots(["a", "b"], 8), [To("a") for _ in range(7)]
        >>> [slots.enter(call) for call in calls]
        [True, True, True, True, True, True, False]
        >>> to_b = To("b")
        >>> slots.enter(to_b)
        True
        >>> slots.leave(to_b) is None, slots.leave(calls[0]) is calls[6]
        (True, True)
    """

    def __init__(self, variants: Collection[str], slots: int) -> None:
        self._reserved = max(1, slots // (2 * len(variants)))
        self._shared = max(0, slots - self._reserved * len(variants))
        self.total = self._reserved * len(variants) + self._shared
        self._taken = dict.fromkeys(variants, 0)
        self._replaceable = dict.fromkeys(variants, max(1, REPLACED // len(variants)))
        self._left = REPLACED
        self._made: set[int] = set()
        self._late: dict[int, Call] = {}
        self._void: dict[int, Call] = {}
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()

    def enter(self, call: Call) -> bool:
        """Take a slot and return `True`, or let the call wait for one."""
        with self._lock:
            if self._take(call) or (self._replace_lost() and self._take(call)):
                return True
            self._waiting.append(call)
            return False

    def leave(self, call: Call) -> Call | None:
        """Give the slot of a call back; return a call that waited and has a slot now, if there is one."""
        with self._lock:
            if self._void.pop(id(call), None) is not None:
                self._replaceable[call.variant] += 1
                self._left += 1
                return None
            self._late.pop(id(call), None)
            self._give_back(call)
            for waiting in self._waiting:
                if self._take(waiting):
                    self._waiting.remove(waiting)
                    return waiting
            return None

    def enter_at_last(self, call: Call) -> bool:
        """Let a call that waits take the slot of a lost call; return whether there was one."""
        with self._lock:
            if call not in self._waiting or not (self._replace_lost() and self._take(call)):
                return False
            self._waiting.remove(call)
            return True

    def late(self, call: Call) -> None:
        """Note that a call is overdue, unless it has just ended."""
        with self._lock:
            if id(call) in self._made:
                self._late[id(call)] = call

    def are_stuck(self, variant: str) -> bool:
        """Return whether all calls to a variant that have slots are overdue, so waiting is pointless."""
        with self._lock:
            late = sum(call.variant == variant for call in self._late.values())
            return late >= self._taken[variant]

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

    def _replace_lost(self) -> bool:
        """Make the slots of lost calls void, up to the limits; return whether there was one."""
        lost = [call for call in self._late.values() if call.is_lost]
        for call in lost:
            if self._left and self._replaceable[call.variant]:
                self._left -= 1
                self._replaceable[call.variant] -= 1
                self._void[id(call)] = self._late.pop(id(call))
                self._give_back(call)
        return bool(lost)

    def _take(self, call: Call) -> bool:
        taken = self._taken[call.variant]
        if taken >= self._reserved:
            if not self._shared:
                return False
            self._shared -= 1
        self._taken[call.variant] = taken + 1
        self._made.add(id(call))
        return True

    def _give_back(self, call: Call) -> None:
        self._made.remove(id(call))
        taken = self._taken[call.variant] - 1
        self._taken[call.variant] = taken
        if taken >= self._reserved:
            self._shared += 1
