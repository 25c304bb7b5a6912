"""How long requests may wait, so that under overload most are answered in time, important ones first."""

import math

FIRST_FACTOR = 2.0
"""A few late requests do not limit the wait of those of the same priority."""
OWN_STEP = 0.02
SPARING_STEP = 0.1
MISSED_SHARE = 0.002
"""The share of requests of a priority that may be late for the sake of lower ones."""
FORGOTTEN_AFTER_S = 10.0
LET_THROUGH_EVERY = 20
MAX_WEIGHT = 10.0
USUAL_GAIN = 0.02


class SparingLimit:
    """The wait that requests of lower priority may join, so that those of one priority are in time.

    It follows a quantile, as in stochastic approximation (Robbins and Monro 1951): it falls by a tenth when a
    request is late because of the wait, and grows by so little with each that is not that about
    `MISSED_SHARE` are late. A queue takes as long as the wait to become shorter: it falls once in that time.

    Args:
        wait_ms: the wait that made a request late.
        now_s: when.
    """

    __slots__ = ("_falls_from_s", "_seen_s", "wait_ms")

    def __init__(self, wait_ms: float, now_s: float) -> None:
        self.wait_ms = wait_ms
        self._falls_from_s = now_s
        self.missed(wait_ms, now_s)

    def missed(self, wait_ms: float, now_s: float) -> None:
        """Note a request that was late because it had to wait."""
        self._seen_s = now_s
        if now_s >= self._falls_from_s:
            self.wait_ms *= 1.0 - SPARING_STEP
            self._falls_from_s = now_s + wait_ms / 1e3

    def met(self, now_s: float) -> None:
        """Note a request that is expected to be in time."""
        self._seen_s = now_s
        self.wait_ms *= 1.0 + SPARING_STEP * MISSED_SHARE / (1.0 - MISSED_SHARE)

    def holds(self, now_s: float) -> bool:
        """Return whether there were requests of this priority a moment ago."""
        return now_s - self._seen_s < FORGOTTEN_AFTER_S


class WaitLimits:
    """How long requests of one model may wait that may be refused when they would be late.

    A variant serves its queue in order. Under overload, a queue in which all wait as long as they may makes
    those late that have little time to spare: with deadlines in proportion to the service time, it halved
    the number of answers in time at three times the capacity. So there are two limits on the wait:

    - For requests of the same priority: it falls with requests that are late because of the wait, and grows
      with requests that are refused because of the limit. Each counts in inverse proportion to its service
      time: of two requests, the shorter one costs less of the capacity, and both are one answer in time.
      Where deadlines are alike, late requests are long ones, and the limit grows until it refuses none.
    - For those of lower priority: a `SparingLimit`. So that none starves, one in twenty requests that are
      turned away by it is let through.

    There is no limit before the first request is late because of the wait.

    Not thread-safe: the model's lock guards it.
    """

    __slots__ = ("_own_ms", "_sparing", "_turned_away", "_usual_ms")

    def __init__(self) -> None:
        self._own_ms: dict[int, float] = {}
        self._sparing: dict[int, SparingLimit] = {}
        self._turned_away = 0
        self._usual_ms = 0.0

    def limit_ms(self, priority: int, now_s: float) -> float:
        """Return how long a request may wait; infinity if there is no limit."""
        limit_ms = self._own_ms.get(priority, math.inf)
        for other, sparing in self._sparing.items():
            if other > priority and sparing.wait_ms < limit_ms and sparing.holds(now_s):
                limit_ms = sparing.wait_ms
        return limit_ms

    def missed(self, priority: int, wait_ms: float, service_ms: float, now_s: float) -> None:
        """Note a request that is late, and would not be if it had not to wait."""
        own_ms = self._own_ms.get(priority, FIRST_FACTOR * wait_ms)
        self._own_ms[priority] = own_ms * math.exp(-self._step(service_ms))
        sparing = self._sparing.get(priority)
        if sparing is None:
            self._sparing[priority] = SparingLimit(wait_ms, now_s)
        else:
            sparing.missed(wait_ms, now_s)

    def met(self, priority: int, now_s: float) -> None:
        """Note a request that is expected to be in time."""
        sparing = self._sparing.get(priority)
        if sparing is not None:
            sparing.met(now_s)

    def refuses(self, priority: int, service_ms: float) -> bool:
        """Note a request that would wait longer than it may; return whether to refuse it."""
        if priority in self._own_ms:
            self._own_ms[priority] *= math.exp(self._step(service_ms))
        self._turned_away += 1
        return self._turned_away % LET_THROUGH_EVERY != 0

    def _step(self, service_ms: float) -> float:
        """Return by how much a limit changes for a request, in its logarithm."""
        usual_ms = self._usual_ms or service_ms
        self._usual_ms = usual_ms + USUAL_GAIN * (service_ms - usual_ms)
        return OWN_STEP * min(MAX_WEIGHT, self._usual_ms / service_ms)
