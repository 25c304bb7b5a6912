"""The latency-optimised policy: shortest expected delay, with a price on congestion."""

import random
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.policies.exploration import ExplorationBudget
from router_backend.core.profile import VariantProfile
from router_backend.core.request import RoutingContext


class LatencyOptimizedPolicy(Policy):
    """Least W + S + price, where the price is what the request costs those that come after it.

    Serving S makes everyone wait S longer who comes to the variant before its queue is empty again. At
    utilisation u, mean service S̄ and c instances, requests come at a rate of u·c/S̄ and the backlog V that
    they meet is worked off at 1 - u, so that the price is

        u / (1 - u) · S · V / S̄.

    V is the matter of judgement. If later requests can go elsewhere, only a fraction of a mean service is
    at stake, V = η·S̄/c with η = 0.8. If they cannot, all of the backlog is: the first-policy-iteration
    price of a first-come queue, half of it because some still can, V = (W + S/2)/2. The share b of the
    second is the fourth power of the candidates' mean utilisation: nothing until all of them are busy.

    A request of priority above 0 does not pay the price, one below 0 pays it twice. The cost is divided by
    the candidate's weight.

    References:
        Shortest expected delay: arXiv 1509.03535. First policy iteration for dispatching with known sizes:
        Hyytiä, Penttinen and Aalto, European Journal of Operational Research 218 (2012). η and the powers
        were chosen in the simulator.
    """

    name: ClassVar[str] = "latency"

    ELSEWHERE_PRICE = 0.8
    NOWHERE_ELSE_PRICE = 0.5
    NOWHERE_ELSE_POWER = 4
    UTILISATION_LIMIT = 0.9
    LOW_PRIORITY_FACTOR = 2.0

    def __init__(self) -> None:
        self._exploration = ExplorationBudget()

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the least cost, or now and then a variant that is worth learning about."""
        busy = 0.0
        for candidate in candidates:
            busy += candidate.utilisation
        nowhere_else = min(1.0, busy / len(candidates)) ** self.NOWHERE_ELSE_POWER
        self._set_costs(candidates, nowhere_else, self._price_factor(context.priority))
        best = candidates[0]
        for candidate in candidates:
            if candidate.cost < best.cost:
                best = candidate
        probe = self._exploration.probe(candidates, best, now_s)
        return Choice(best) if probe is None else Choice(probe, 1.0, True)

    def _price_factor(self, priority: int) -> float:
        if priority == 0:
            return 1.0
        return 0.0 if priority > 0 else self.LOW_PRIORITY_FACTOR

    def _set_costs(self, candidates: list[VariantProfile], nowhere_else: float, price_factor: float) -> None:
        """Set (W + S + price) / weight.

        Args:
            candidates: the candidates.
            nowhere_else: the share b of later requests that will have nowhere else to go.
            price_factor: what the price is multiplied by.
        """
        elsewhere = price_factor * (1.0 - nowhere_else) * self.ELSEWHERE_PRICE
        nowhere_else *= price_factor * self.NOWHERE_ELSE_PRICE
        for candidate in candidates:
            u = candidate.utilisation
            if u > self.UTILISATION_LIMIT:
                u = self.UTILISATION_LIMIT
            service_ms = candidate.service_ms
            load = candidate.load
            backlog = elsewhere / load.concurrency
            if load.mean_service_ms > 0.0:
                backlog += nowhere_else * (candidate.wait_ms + 0.5 * service_ms) / load.mean_service_ms
            cost_ms = candidate.wait_ms + service_ms * (1.0 + backlog * u / (1.0 - u))
            candidate.cost = cost_ms / candidate.weight
