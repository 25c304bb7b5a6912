"""Finagle's Peak EWMA."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.choosing.decision import Execution
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class PeakEwma:
    """A moving average of latencies that jumps up to every peak and decays slowly.

    With w = e^(-Δt / τ), τ = 10 s: L = y where y > L, else L·w + y·(1 - w). Reading it counts as a latency
    of 0, so that the average of an unused variant decays.

    Examples:
        >>> average = PeakEwma()
        >>> average.update(20.0, now_s=0.0)
        >>> round(average.read(now_s=10.0), 2)
        7.36
    """

    DECAY_TIME_S = 10.0

    __slots__ = ("_latency_ms", "_updated_s")

    def __init__(self) -> None:
        self._latency_ms = 0.0
        self._updated_s = 0.0

    def update(self, latency_ms: float, now_s: float) -> None:
        """Learn one latency."""
        kept = math.exp(-max(0.0, now_s - self._updated_s) / self.DECAY_TIME_S)
        faded_ms = self._latency_ms * kept + latency_ms * (1.0 - kept)
        self._latency_ms = latency_ms if latency_ms > self._latency_ms else faded_ms
        self._updated_s = now_s

    def read(self, now_s: float) -> float:
        """Return the current average in ms."""
        self.update(0.0, now_s)
        return self._latency_ms


class PeakEwmaPolicy(Policy):
    """argmin L · (n + 1): the Peak EWMA of the latency, times the requests in flight including this one.

    An unknown candidate costs nothing while it is idle, so that it is tried, and more than all others until
    its first answer.

    Finagle compares two candidates drawn at random; here all are compared, which is never worse.

    References:
        Finagle, com.twitter.finagle.loadbalancer.PeakEwma, `decayTime` 10 s.
    """

    name: ClassVar[str] = "peak_ewma"

    PENALTY_MS = float((2**63 - 1 >> 16) // 10**6)

    def __init__(self) -> None:
        self._averages: defaultdict[str, PeakEwma] = defaultdict(PeakEwma)

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the load as cost."""
        for candidate in candidates:
            latency_ms = self._averages[candidate.variant.name].read(request.now_s)
            in_flight = candidate.in_flight
            if latency_ms == 0.0 and in_flight:
                candidate.cost = self.PENALTY_MS + in_flight
            else:
                candidate.cost = latency_ms * (in_flight + 1)

    def observe(self, execution: Execution) -> None:
        """Learn the latency."""
        if execution.latency_ms is not None and execution.service_ms is not None:
            self._averages[execution.variant].update(execution.latency_ms, execution.finished_s)
