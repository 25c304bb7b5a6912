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
    """What a server answers to a probe: the median of recent latencies at the same queue length."""

    RECENT = 64

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: deque[tuple[int, float]] = deque(maxlen=self.RECENT)

    def update(self, in_flight: int, latency_ms: float) -> None:
        """Learn the latency of a request that arrived with so many others in flight."""
        self._answers.append((in_flight, latency_ms))

    def latency_ms(self, in_flight: int) -> float:
        """Return the median latency at the observed number in flight that is nearest; 0 before the first."""
        if not self._answers:
            return 0.0
        distance = min(abs(met - in_flight) for met, _ in self._answers)
        return statistics.median(y for met, y in self._answers if abs(met - in_flight) == distance)


class PrequalPolicy(Policy):
    """Hot-cold lexicographic: the cold candidate of lowest latency or, if all are hot, of lowest load.

    A candidate is hot if its requests in flight (RIF) exceed the quantile Q = 2^(-1/4) ≈ 0.84 of recent RIF.
    The cost of a cold candidate is its estimated latency, and that of a hot one its RIF times more than any
    latency.

    Prequal's many clients do not see each other: they probe 3 servers per request, choose from a pool of up
    to 16 answers, and need rules for aging, reuse and removal. The router sees every request, so that every
    decision has a fresh answer of every candidate, and needs none of these rules.

    References:
        Wydrowski et al., Load is not what you should balance: Introducing Prequal, NSDI 2024,
        arXiv 2312.10172. It does not define "recent": here it means 64 latencies per variant and 128 RIF.
    """

    name: ClassVar[str] = "prequal"

    QUANTILE = 2.0**-0.25
    RECENT = 128
    BEYOND_LATENCY_MS = 1e12

    def __init__(self) -> None:
        self._replicas: defaultdict[str, Replica] = defaultdict(Replica)
        self._recent: deque[int] = deque(maxlen=self.RECENT)

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the latency of cold candidates and the load of hot ones as cost."""
        self._recent.extend(candidate.in_flight for candidate in candidates)
        limit = sorted(self._recent)[int(self.QUANTILE * len(self._recent))]
        for candidate in candidates:
            in_flight = candidate.in_flight
            if in_flight > limit:
                candidate.cost = self.BEYOND_LATENCY_MS * in_flight
            else:
                candidate.cost = self._replicas[candidate.variant.name].latency_ms(in_flight)

    def observe(self, execution: Execution) -> None:
        """Learn the latency at the queue length on arrival."""
        if execution.latency_ms is not None and execution.service_ms is not None:
            self._replicas[execution.variant].update(execution.decision.in_flight, execution.latency_ms)
