"""The variants in turn."""

import random
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.policies.least_cost import least_cost
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile


class RoundRobinPolicy(Policy):
    """The candidate whose last turn is longest ago; its cost is the number of the request that it had then.

    With the same candidates every time this is the counter modulo K that balancers keep; where candidates
    come and go, each one still gets its turn, and one that returns does not get those it missed.
    """

    name: ClassVar[str] = "round_robin"

    def __init__(self) -> None:
        self._requests = 0
        self._last_turn: dict[str, int] = {}

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the next in turn."""
        for candidate in candidates:
            candidate.cost = float(self._last_turn.get(candidate.variant.name, 0))
        pick = least_cost(candidates)
        self._requests += 1
        self._last_turn[pick.variant.name] = self._requests
        return Choice(pick)
