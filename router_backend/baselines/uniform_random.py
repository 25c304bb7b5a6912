"""Any variant, by chance alone."""

import random
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile


class RandomPolicy(Policy):
    """Each of the K candidates with the probability 1/K; all cost 0."""

    name: ClassVar[str] = "random"

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Draw one."""
        for candidate in candidates:
            candidate.cost = 0.0
        return Choice(rng.choice(candidates), 1.0 / len(candidates))
