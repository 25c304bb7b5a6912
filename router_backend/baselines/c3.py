"""C3's replica ranking."""

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.choosing.decision import Execution
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class Replica:
    """The moving averages that C3 keeps of one server: ȳ = α·y + (1 - α)·ȳ, α = 0.9, from 0.

    Attributes:
        latency_ms: R, as the client sees it.
        service_ms: 1/μ.
        queue: q, the requests at the server when an answer leaves.
    """

    ALPHA = 0.9

    __slots__ = ("latency_ms", "queue", "service_ms")

    def __init__(self) -> None:
        self.latency_ms = self.service_ms = self.queue = 0.0

    def update(self, latency_ms: float, service_ms: float, queue: int) -> None:
        """Learn from one answer."""
        old, new = 1.0 - self.ALPHA, self.ALPHA
        self.latency_ms = new * latency_ms + old * self.latency_ms
        self.service_ms = new * service_ms + old * self.service_ms
        self.queue = new * queue + old * self.queue


class C3Policy(Policy):
    """argmin Ψ = R - 1/μ + q̂³/μ with q̂ = 1 + n·o + q, o in flight from this client, n clients.

    The cube keeps clients away from long queues, even at fast servers. C3's rate control, which limits what
    each of many clients sends to a server, is left out: the router is the only client, n = 1.

    In C3 the server reports q and 1/μ with each answer; here q is what is in flight when the answer arrives,
    and the service time is the latency minus the wait.

    References:
        Suresh et al., C3: Cutting Tail Latency in Cloud Data Stores via Adaptive Replica Selection,
        NSDI 2015; α from the authors' ScoreTracker for Cassandra.
    """

    name: ClassVar[str] = "c3"

    CLIENTS = 1

    def __init__(self) -> None:
        self._replicas: defaultdict[str, Replica] = defaultdict(Replica)

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the rank Ψ as cost."""
        for candidate in candidates:
            replica = self._replicas[candidate.variant.name]
            queue = 1.0 + self.CLIENTS * candidate.in_flight + replica.queue
            candidate.cost = replica.latency_ms + (queue**3 - 1.0) * replica.service_ms

    def observe(self, execution: Execution) -> None:
        """Learn latency, service time and queue."""
        if execution.latency_ms is not None and execution.service_ms is not None:
            left_behind = execution.decision.state.load.in_flight
            self._replicas[execution.variant].update(execution.latency_ms, execution.service_ms, left_behind)
