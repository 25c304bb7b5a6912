"""The power of two choices."""

import random
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile


class PowerOfTwoPolicy(Policy):
    """Of two different candidates drawn at random the one with fewer requests in flight; the first, if equal.

    The cost is the number in flight. Of the K (K - 1) ordered draws, a candidate with n in flight wins as
    the first against all with n or more, as the second against all with more than n.

    References:
        Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 2001. Finagle's
        P2C draws two different ones, as here; Envoy's least request with its default `choice_count` of 2
        draws with replacement.
    """

    name: ClassVar[str] = "p2c"

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Draw two and pick the less loaded."""
        for candidate in candidates:
            candidate.cost = float(candidate.load.in_flight)
        if len(candidates) == 1:
            return Choice(candidates[0])
        first, second = rng.sample(candidates, 2)
        pick = second if second.cost < first.cost else first
        return Choice(pick, self._propensity(pick, candidates))

    @staticmethod
    def _propensity(pick: VariantProfile, candidates: list[VariantProfile]) -> float:
        others = [candidate.cost for candidate in candidates if candidate is not pick]
        draws = sum((cost >= pick.cost) + (cost > pick.cost) for cost in others)
        return draws / (len(candidates) * len(others))
