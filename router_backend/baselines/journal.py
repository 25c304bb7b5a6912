"""What a request had met at its variant, told when its answer comes."""

from bisect import bisect_left, bisect_right
from typing import NamedTuple


class Stay(NamedTuple):
    """One answered request's stay at a variant.

    Args:
        in_flight: how many requests the variant held when it was sent there, itself not counted.
        service_ms: its latency less its wait.
    """

    in_flight: int
    service_ms: float


class Journal:
    """When the requests of one variant were sent, and when they were answered.

    The originals of some policies measure at the server: how long the queue was that a request met (Prequal),
    how long its service took (C3). A policy here is told of latencies alone; the journal restores the rest.

    An answer belongs to the request that was sent nearest to one latency ago. A variant that serves c at
    once, first come first served, begins a request that met n others after n - c + 1 departures.

    Examples:
        >>> journal = Journal()
        >>> journal.sent(0, now_s=0.0)
        >>> journal.sent(1, now_s=1.0)
        >>> journal.answered(3000.0, now_s=3.0, concurrency=1)
        Stay(in_flight=0, service_ms=3000.0)
        >>> journal.answered(4000.0, now_s=5.0, concurrency=1)
        Stay(in_flight=1, service_ms=2000.0)
    """

    REMEMBERED = 4096

    __slots__ = ("_answered_s", "_sent")

    def __init__(self) -> None:
        self._sent: list[tuple[float, int]] = []
        self._answered_s: list[float] = []

    def sent(self, in_flight: int, now_s: float) -> None:
        """Write down that a request goes to the variant, which holds `in_flight` others."""
        self._sent.append((now_s, in_flight))
        del self._sent[: -self.REMEMBERED]

    def answered(self, latency_ms: float, now_s: float, concurrency: int) -> Stay:
        """Write down an answer, and tell what its request had met."""
        sent_s, in_flight = self._take_sent(now_s - latency_ms / 1e3)
        departures_s = self._answered_s[bisect_right(self._answered_s, sent_s) :]
        awaited = min(in_flight - concurrency + 1, len(departures_s))
        wait_ms = (departures_s[awaited - 1] - sent_s) * 1e3 if awaited > 0 else 0.0
        self._answered_s.append(now_s)
        del self._answered_s[: -self.REMEMBERED]
        # One that was answered before its turn has overtaken the queue: it cannot have waited there.
        return Stay(in_flight, latency_ms - wait_ms if wait_ms < latency_ms else latency_ms)

    def _take_sent(self, about_s: float) -> tuple[float, int]:
        """The request sent nearest to that time, which is now done; nothing met where none is known."""
        if not self._sent:
            return about_s, 0
        place = bisect_left(self._sent, (about_s, 0))
        nearest = min(
            range(max(0, place - 1), min(len(self._sent), place + 1)),
            key=lambda entry: abs(self._sent[entry][0] - about_s),
        )
        return self._sent.pop(nearest)
