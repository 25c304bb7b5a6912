"""The circuit breaker of a variant."""

from enum import Enum
from typing import NamedTuple

from router_backend.core.records.outcome import Fault


class BreakerState(Enum):
    """The three states of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class OpenTime(NamedTuple):
    """How long a breaker stays open: the first time, the growth factor, and at most."""

    first_s: float
    growth: float
    longest_s: float


OPEN_AFTER_ERRORS = OpenTime(first_s=0.25, growth=1.5, longest_s=1.0)
OPEN_AFTER_DEATH = OpenTime(first_s=5.0, growth=2.0, longest_s=60.0)
OPEN_AFTER_DEATH_IF_PROBED = OpenTime(first_s=1.0, growth=2.0, longest_s=5.0)
OPEN_AFTER_OVERDUE = OpenTime(first_s=0.25, growth=2.0, longest_s=4.0)
PROBE_GRACE_S = 2.0
"""How long requests of clients leave a half-open breaker to the router's own requests."""
PLANNED_S = 0.5
"""A planned probe that was not sent within this time is planned again."""


OPENS_SECOND = (Fault.ERROR, Fault.WRONG_ANSWER)
"""What opens a breaker when it follows another failure: the first one may be an exception."""


class Breaker:
    """Keeps requests away from a variant that fails.

    Closed: requests pass. Two failures in a row open it for 250 ms; each further failure makes that 1.5
    times longer, up to 1 s. A variant whose process is dead takes a second per call and does not recover by
    itself: the first such failure opens the breaker for 5 s, doubling up to 60 s. So does the first overdue
    call, for 250 ms, doubling up to 4 s. After that time the breaker is half-open: one request passes as a
    probe, and its outcome closes the breaker or opens it again.

    A host that sends requests of its own probes by these, so that no client waits for a variant that is still
    ill; a client's request is the probe only 2 s later. A dead process is then probed after 1 s, doubling up
    to 5 s.

    Args:
        is_probed: whether the host sends requests of its own.

    Attributes:
        state: its state.
        closed: whether it is closed. Every request checks this, and looking up an enumeration's member would
            take as long as all other checks of a variant.
        fault: what opened it last.
        open_until_s: when it becomes half-open.
        failures_in_a_row: failures since the last answer.

    References:
        Nygard, Release It!, circuit breaker; outlier ejection as in Envoy.
    """

    FAILURES_TO_OPEN = 2

    __slots__ = (
        "_after_death",
        "_grace_s",
        "_open_s",
        "_planned_until_s",
        "_probing",
        "closed",
        "failures_in_a_row",
        "fault",
        "open_until_s",
        "state",
    )

    def __init__(self, *, is_probed: bool = False) -> None:
        self._after_death = OPEN_AFTER_DEATH_IF_PROBED if is_probed else OPEN_AFTER_DEATH
        self._grace_s = PROBE_GRACE_S if is_probed else 0.0
        self._planned_until_s = 0.0
        self._enter(BreakerState.CLOSED)
        self.fault = Fault.ERROR
        self.open_until_s = 0.0
        self.failures_in_a_row = 0
        self._open_s = 0.0
        self._probing = False

    def allows(self, now_s: float, *, is_own: bool = False) -> bool:
        """Return whether a request may be sent now: a client's, or one of the router's own."""
        if self.closed:
            return True
        due_s = self.open_until_s if is_own else self.open_until_s + self._grace_s
        return now_s >= due_s and not self._probing

    def probe_is_due(self, now_s: float) -> bool:
        """Return whether a probe should be sent now, and none is under way or planned."""
        return not self.closed and now_s >= self._planned_until_s and self.allows(now_s, is_own=True)

    def plan_probe(self, now_s: float) -> None:
        """Note that the host is about to send a probe."""
        self._planned_until_s = now_s + PLANNED_S

    def retry_now(self, now_s: float) -> None:
        """Note that the variant may be well again: if it is kept out, a probe is due."""
        self.open_until_s = min(self.open_until_s, now_s)
        self._planned_until_s = 0.0

    def dispatched(self) -> None:
        """Note that a request is sent as the probe, although the breaker is not closed."""
        self._enter(BreakerState.HALF_OPEN)
        self._probing = True

    def succeeded(self) -> None:
        """Note that a request was answered; needed only after failures."""
        self.failures_in_a_row = 0
        self._open_s = 0.0
        self._probing = False
        self._enter(BreakerState.CLOSED)

    def ignored(self) -> None:
        """Note that a request ended in a way that says nothing about the variant."""
        self._probing = False

    def failed(self, fault: Fault, now_s: float) -> None:
        """Note that a request failed by the variant's fault."""
        if self.state is BreakerState.OPEN and (fault is not Fault.DEAD or self.fault is Fault.DEAD):
            return  # sent before it opened
        self._probing = False
        self.failures_in_a_row += 1
        if fault in OPENS_SECOND and self.failures_in_a_row < self.FAILURES_TO_OPEN:
            return
        times = self._times(fault)
        longer_s = self._open_s * times.growth if self.fault is fault else 0.0
        self._open_s = min(max(longer_s, times.first_s), times.longest_s)
        self.fault = fault
        self.open_until_s = now_s + self._open_s
        self._enter(BreakerState.OPEN)

    def _times(self, fault: Fault) -> OpenTime:
        if fault is Fault.OVERDUE:
            return OPEN_AFTER_OVERDUE
        return self._after_death if fault is Fault.DEAD else OPEN_AFTER_ERRORS

    def _enter(self, state: BreakerState) -> None:
        self.state = state
        self.closed = state is BreakerState.CLOSED
