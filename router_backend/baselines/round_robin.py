"""Round robin."""

from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class RoundRobinPolicy(Policy):
    """The candidate whose next turn would end first if each takes 1 / weight; the cost is its turns.

    Of equal ones it is that whose last turn is longest ago; its cost is a little lower. With equal weights
    and constant candidates this is a load balancer's counter modulo K. If candidates come and go, each one
    still gets its turn, and one that returns does not make up for turns that it missed.

    References:
        Weights: Waldspurger and Weihl, Stride Scheduling: Deterministic Proportional-Share Resource
        Management, MIT 1995.
    """

    name: ClassVar[str] = "round_robin"

    BELOW_EQUALS = 1.0 - 1e-9

    def __init__(self) -> None:
        self._requests = 0
        self._now = 0.0
        self._turns: dict[str, float] = {}
        self._last_turn: dict[str, int] = {}

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the turns, with the one now, as cost; the lowest is whose turn it is."""
        for candidate in candidates:
            candidate.cost = self._turn(candidate)
        min(candidates, key=self._rank).cost *= self.BELOW_EQUALS

    def picked(self, candidate: Candidate) -> None:
        """Note that the candidate has its turn now."""
        turn = self._turn(candidate)
        self._now = round(turn / candidate.weight, 9)
        self._requests += 1
        self._turns[candidate.variant.name] = turn
        self._last_turn[candidate.variant.name] = self._requests

    def _turn(self, candidate: Candidate) -> float:
        return max(self._turns.get(candidate.variant.name, 0.0) + 1.0, self._now * candidate.weight)

    def _rank(self, candidate: Candidate) -> tuple[float, int]:
        """Return when its turn would end, and when its last one was."""
        last_turn = self._last_turn.get(candidate.variant.name, 0)
        return round(candidate.cost / candidate.weight, 9), last_turn
