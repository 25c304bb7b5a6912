"""Shortest expected delay by a profile that is measured once."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from router_backend.core.choosing.decision import Execution
from router_backend.core.learning.affine import AffineLaw
from router_backend.core.policies.base import Policy
from router_backend.core.policies.picker import weighted_cost
from router_backend.core.records.outcome import Outcome
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.load import Load, Place


class FrozenLaw:
    """The affine law a + c·x of a variant's first executions, including the warm-up, which is then frozen."""

    EXECUTIONS = 16

    __slots__ = ("_executions", "_law")

    def __init__(self) -> None:
        self._law = AffineLaw()
        self._executions = 0

    def update(self, x: float, service_ms: float) -> None:
        """Learn the service time of a request of size x, if it is one of the first."""
        if self._executions < self.EXECUTIONS:
            self._law.update(x, service_ms)
            self._executions += 1

    def predict(self, x: float) -> float:
        """Return the predicted service time in ms; 0 before the first execution."""
        return self._law.predict(x)


class FrozenQueue:
    """The requests in flight at one variant, with the service times that the profile predicted for them."""

    __slots__ = ("_load", "_sent")

    def __init__(self, concurrency: int) -> None:
        self._load = Load(concurrency)
        self._sent: list[tuple[float, Place]] = []

    def sent(self, service_ms: float, now_s: float) -> None:
        """Add a request."""
        self._sent.append((now_s, self._load.enter(service_ms, now_s)))

    def ended(self, sent_s: float, now_s: float, *, answered: bool) -> None:
        """Remove the request that was sent at `sent_s`, if it is in the queue."""
        for index, (each_s, place) in enumerate(self._sent):
            if each_s == sent_s:
                del self._sent[index]
                self._load.leave(place, now_s, answered=answered)
                return

    def wait_ms(self, in_flight: int, now_s: float) -> float:
        """Return the wait of a request that is sent now.

        If the queue has more than the number in flight, the oldest were dropped unrecorded.
        """
        while len(self._sent) > in_flight:
            self.ended(self._sent[0][0], now_s, answered=False)
        return self._load.wait_ms(now_s)


class OfflineProfilePolicy(Policy):
    """argmin W + S, with S from a fixed profile, and W from the same profile and what is in flight.

    A profile measured before deployment does not know drift, jumps between the measured sizes, or later
    load. Until a variant's first execution, S is the router's guess.

    Args:
        laws: exact service time in ms as a function of size x, by variant; the others are learned.

    References:
        Shortest expected delay: arXiv 1509.03535. Profiles: INFaaS, ATC 2021; Clockwork, OSDI 2020.
    """

    name: ClassVar[str] = "offline_profile"

    def __init__(self, laws: Mapping[str, Callable[[float], float]] | None = None) -> None:
        self._laws = dict(laws or {})
        self._learned: defaultdict[str, FrozenLaw] = defaultdict(FrozenLaw)
        self._queues: dict[str, FrozenQueue] = {}

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the expected delay as cost, and add the request to the queue of the lowest."""
        for candidate in candidates:
            wait_ms = self._queue(candidate).wait_ms(candidate.in_flight, request.now_s)
            candidate.cost = wait_ms + self._service_ms(candidate)
        pick = min(candidates, key=weighted_cost)
        if not request.context.dry_run:
            self._queue(pick).sent(self._service_ms(pick), request.now_s)

    def observe(self, execution: Execution) -> None:
        """Remove the request from the queue, and learn its service time if it is one of the first."""
        queue = self._queues.get(execution.variant)
        if queue is not None:
            answered = execution.outcome is Outcome.SUCCESS
            queue.ended(execution.decision.now_s, execution.finished_s, answered=answered)
        if execution.service_ms is not None:
            self._learned[execution.variant].update(execution.size, execution.service_ms)

    def _service_ms(self, candidate: Candidate) -> float:
        name = candidate.variant.name
        law = self._laws.get(name) or self._learned[name].predict
        return law(candidate.size) or candidate.service_ms

    def _queue(self, candidate: Candidate) -> FrozenQueue:
        name = candidate.variant.name
        if name not in self._queues:
            self._queues[name] = FrozenQueue(candidate.concurrency)
        return self._queues[name]
