"""The latency-optimized policy: shortest expected delay, with a price on congestion."""

import random
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.policies.congestion_price import CongestionPrice
from router_backend.core.policies.exploration import ExplorationBudget
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile


class LatencyOptimizedPolicy(Policy):
    """Least W + E + price, divided by the candidate's weight; now and then a probe.

    E is the predicted service time with a penalty for low confidence, the price one for utilization.

    References:
        Shortest expected delay: arXiv 1509.03535. The price: `CongestionPrice`.
    """

    name: ClassVar[str] = "latency"

    PRICE = CongestionPrice()

    def __init__(self) -> None:
        self._exploration = ExplorationBudget()

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the least cost, or now and then a variant that is worth learning about."""
        best = self.PRICE.cheapest(candidates, context.priority)
        probe = self._exploration.probe(candidates, best)
        return Choice(best) if probe is None else Choice(probe, 1.0, True)
