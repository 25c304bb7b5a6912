"""Round robin."""

from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.policies.picker import weighted_cost
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class RoundRobinPolicy(Policy):
    """The candidate whose next turn would end first if each takes 1 / weight; the cost is its number of turns.

    With equal weights and constant candidates this is a load balancer's counter modulo K. If candidates come
    and go, each one still gets its turn, and one that returns does not make up for turns that it missed.

    References:
        Weights: Waldspurger and Weihl, Stride Scheduling: Deterministic Proportional-Share Resource
        Management, MIT 1995.
    """

    name: ClassVar[str] = "round_robin"

    def __init__(self) -> None:
        self._now = 0.0
        self._turns: dict[str, float] = {}

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the turns, with the one now, as cost, and note that the lowest by weight has it."""
        for candidate in candidates:
            turns = self._turns.get(candidate.variant.name, 0.0) + 1.0
            candidate.cost = max(turns, self._now * candidate.weight)
        turn = min(candidates, key=weighted_cost)
        self._now = weighted_cost(turn)
        self._turns[turn.variant.name] = turn.cost
