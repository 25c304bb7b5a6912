"""Round robin."""

from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class RoundRobinPolicy(Policy):
    """The candidate whose last turn is longest ago; the cost is the number of its last request.

    With constant candidates this is a load balancer's counter modulo K. If candidates come and go, each one
    still gets its turn, and one that returns does not make up for turns that it missed.
    """

    name: ClassVar[str] = "round_robin"

    def __init__(self) -> None:
        self._requests = 0
        self._last_turn: dict[str, int] = {}

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the last turn as cost."""
        for candidate in candidates:
            candidate.cost = float(self._last_turn.get(candidate.variant.name, 0))

    def picked(self, candidate: Candidate) -> None:
        """Note that the candidate has its turn now."""
        self._requests += 1
        self._last_turn[candidate.variant.name] = self._requests
