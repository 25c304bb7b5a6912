"""Limits how many requests of the router's own wait for a variant that never answers."""

from __future__ import annotations

import time
from collections import defaultdict
from math import inf


class StuckCalls:
    """The overdue calls of the router's own that have not ended, by variant.

    Each of them holds memory, and on the Python host a thread here and one of the server's few. So a variant
    that has two of them gets the next one only after 30 s, and each further one after twice the time.

    Args:
        total: how many all variants may have together; one that has none is then probed by clients' requests.

    Examples:
        >>> stuck = StuckCalls()
        >>> for call in (1, 2):
        ...     stuck.add("a", call)
        >>> stuck.allows("a"), stuck.allows("b")
        (False, True)
        >>> StuckCalls(total=0).allows("a")
        False
        >>> stuck.ended("a", 1)
        >>> stuck.allows("a")
        True
    """

    MOST = 2
    PAUSE_S = 30.0
    TOTAL_WITH_THREADS = 3
    """For a host on which each call keeps one of Triton's threads, which are 32 by default."""

    def __init__(self, total: float = inf) -> None:
        self._total = total
        self._since_s: defaultdict[str, dict[object, float]] = defaultdict(dict)

    def add(self, variant: str, call: object) -> None:
        """Note that a call is overdue."""
        self._since_s[variant][call] = time.monotonic()

    def ended(self, variant: str, call: object) -> None:
        """Note that a call has ended, overdue or not."""
        self._since_s[variant].pop(call, None)

    def allows(self, variant: str) -> bool:
        """Return whether a variant may get one more call of the router's own."""
        if sum(map(len, list(self._since_s.values()))) >= self._total:
            return False
        since_s = list(self._since_s[variant].values())
        over = len(since_s) - self.MOST
        return over < 0 or time.monotonic() >= max(since_s) + self.PAUSE_S * 2**over
