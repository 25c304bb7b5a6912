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


OPENS_SECOND = (Fault.ERROR, Fault.WRONG_ANSWER)
"""What opens a breaker when it follows another failure: the first one may be an exception."""


class Breaker:
    """Keeps requests away from a variant that fails.

    Closed: requests pass. Two failures in a row open it for 250 ms; each further failure makes that 1.5
    times longer, up to 1 s. A variant whose process is dead takes a second per call and does not recover by
    itself: the first such failure opens the breaker for 5 s, doubling up to 60 s. After that time the breaker
    is half-open: one request passes as a probe, and its outcome closes the breaker or opens it again.

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

    __slots__ = ("_open_s", "_probing", "closed", "failures_in_a_row", "fault", "open_until_s", "state")

    def __init__(self) -> None:
        self._enter(BreakerState.CLOSED)
        self.fault = Fault.ERROR
        self.open_until_s = 0.0
        self.failures_in_a_row = 0
        self._open_s = 0.0
        self._probing = False

    def allows(self, now_s: float) -> bool:
        """Return whether a request may be sent now."""
        if self.closed:
            return True
        return now_s >= self.open_until_s and not self._probing

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
        if self.state is BreakerState.OPEN and (fault is self.fault or fault in OPENS_SECOND):
            return  # sent before it opened
        self._probing = False
        self.failures_in_a_row += 1
        if fault in OPENS_SECOND and self.failures_in_a_row < self.FAILURES_TO_OPEN:
            return
        times = OPEN_AFTER_DEATH if fault is Fault.DEAD else OPEN_AFTER_ERRORS
        longer_s = self._open_s * times.growth if self.fault is fault else 0.0
        self._open_s = min(max(longer_s, times.first_s), times.longest_s)
        self.fault = fault
        self.open_until_s = now_s + self._open_s
        self._enter(BreakerState.OPEN)

    def _enter(self, state: BreakerState) -> None:
        self.state = state
        self.closed = state is BreakerState.CLOSED
