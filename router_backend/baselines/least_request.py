"""Envoy's least request."""

import random
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile


class LeastRequestPolicy(Policy):
    """The candidate with the fewest requests in flight, of m equal ones each with the probability 1/m.

    The cost is the number in flight. Envoy's own default looks at two random hosts (`p2c` here); this is its
    `selection_method: FULL_SCAN`, which costs nothing with a handful of variants and is never worse.

    References:
        Envoy, envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest.
    """

    name: ClassVar[str] = "least_request"

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Look at all, draw among the least loaded."""
        for candidate in candidates:
            candidate.cost = float(candidate.load.in_flight)
        fewest = min(candidate.cost for candidate in candidates)
        least = [candidate for candidate in candidates if candidate.cost == fewest]
        return Choice(rng.choice(least), 1.0 / len(least))
