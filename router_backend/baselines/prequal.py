"""Google's Prequal: requests in flight and latency, cold before hot."""

import statistics
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.choosing.decision import Execution
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class Replica:
    """What a server tells when it is probed: the median of recent latencies that met the same queue."""

    RECENT = 64

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: deque[tuple[int, float]] = deque(maxlen=self.RECENT)

    def update(self, in_flight: int, latency_ms: float) -> None:
        """Learn the latency of a request that met so many others."""
        self._answers.append((in_flight, latency_ms))

    def latency_ms(self, in_flight: int) -> float:
        """The median where as many were in flight, or as nearly as many as was seen; 0: nothing was."""
        if not self._answers:
            return 0.0
        distance = min(abs(met - in_flight) for met, _ in self._answers)
        return statistics.median(y for met, y in self._answers if abs(met - in_flight) == distance)


class PrequalPolicy(Policy):
    """Hot-cold lexicographic: the cold candidate of least latency or, where all are hot, the least loaded.

    A candidate is hot when its requests in flight (RIF) exceed the quantile Q = 2^(-1/4) ≈ 0.84 of the RIF
    seen lately. The cost is the estimated latency of a cold one, and of a hot one its RIF beyond any latency.

    Prequal's clients are many and blind: they probe 3 servers a request, choose from a pool of up to 16
    answers, and need rules of ageing, reuse and removal for these. The router has seen every request itself,
    so that every choice has a fresh answer of every candidate; those rules have nothing left to do.

    References:
        Wydrowski et al., Load is not what you should balance: Introducing Prequal, NSDI 2024,
        arXiv 2312.10172. It leaves open how much is recent: here 64 latencies a variant and 128 RIF.
    """

    name: ClassVar[str] = "prequal"

    QUANTILE = 2.0**-0.25
    RECENT = 128
    BEYOND_LATENCY_MS = 1e12

    def __init__(self) -> None:
        self._replicas: defaultdict[str, Replica] = defaultdict(Replica)
        self._recent: deque[int] = deque(maxlen=self.RECENT)

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the latency of cold candidates as cost, the load of hot ones beyond it."""
        self._recent.extend(candidate.in_flight for candidate in candidates)
        limit = sorted(self._recent)[int(self.QUANTILE * len(self._recent))]
        for candidate in candidates:
            in_flight = candidate.in_flight
            if in_flight > limit:
                candidate.cost = self.BEYOND_LATENCY_MS + in_flight
            else:
                candidate.cost = self._replicas[candidate.variant.name].latency_ms(in_flight)

    def observe(self, execution: Execution) -> None:
        """Learn the latency at the queue that the request met."""
        if execution.latency_ms is not None and execution.service_ms is not None:
            self._replicas[execution.variant].update(execution.decision.in_flight, execution.latency_ms)
