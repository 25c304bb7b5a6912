"""The latency that a request is expected to meet, with a price on congestion."""

import math

from router_backend.core.profile import VariantProfile

UTILISATION_LIMIT = 0.9
LOW_PRIORITY_FACTOR = 2.0


class CongestionPrice:
    """W + E + price, where E is the expected service time and the price what later requests pay for it.

    A prediction S that was learned from little is penalised for its low confidence: its error is about
    log-normal with relative variance v, and the mean of such a quantity is E = S·(1 + v/2), not its median S.

    Serving E makes everyone wait E longer who comes to the variant before its queue is empty again. At
    utilisation u, mean service S̄ and c instances, requests come at a rate of u·c/S̄ and the backlog V that
    they meet is worked off at 1 - u, so that the price is

        u / (1 - u) · E · V / S̄.

    V is the matter of judgement. If later requests can go elsewhere, only a fraction of a mean service is
    at stake, V = η·S̄/c. If they cannot, all of the backlog is: the first-policy-iteration price of a
    first-come queue, V = ν·(W + E/2). The share b of the second is a power of the candidates' mean
    utilisation: nothing until all of them are busy.

    A request of priority above 0 does not pay the price, one below 0 pays it twice.

    Args:
        elsewhere: η.
        nowhere_else: ν.
        power: the power that b is; 0: later requests can never go elsewhere.

    References:
        First policy iteration for dispatching with known sizes: Hyytiä, Penttinen and Aalto, European Journal
        of Operational Research 218 (2012). The numbers were chosen in the simulator.
    """

    __slots__ = ("_elsewhere", "_nowhere_else", "_power")

    def __init__(self, elsewhere: float = 0.8, nowhere_else: float = 0.5, power: int = 4) -> None:
        self._elsewhere = elsewhere
        self._nowhere_else = nowhere_else
        self._power = power

    def cheapest(self, candidates: list[VariantProfile], priority: int) -> VariantProfile:
        """Set each candidate's cost to (W + E + price) / weight, in ms.

        Returns:
            The one of least cost; of equal ones the first.
        """
        busy = 0.0
        for candidate in candidates:
            busy += candidate.utilisation
        busy /= len(candidates)
        stuck = busy**self._power if busy < 1.0 else 1.0
        factor = 1.0 if priority == 0 else self._priority_factor(priority)
        elsewhere = factor * (1.0 - stuck) * self._elsewhere
        nowhere_else = factor * stuck * self._nowhere_else
        best, least = candidates[0], math.inf
        for candidate in candidates:
            u = candidate.utilisation
            if u > UTILISATION_LIMIT:
                u = UTILISATION_LIMIT
            wait_ms, load = candidate.wait_ms, candidate.load
            expected_ms = candidate.service_ms * (1.0 + 0.5 * candidate.variance)
            backlog = elsewhere / load.concurrency
            mean_ms = load.mean_service_ms
            if mean_ms > 0.0:
                backlog += nowhere_else * (wait_ms + 0.5 * expected_ms) / mean_ms
            cost = (wait_ms + expected_ms * (1.0 + backlog * u / (1.0 - u))) / candidate.weight
            candidate.cost = cost
            if cost < least:
                best, least = candidate, cost
        return best

    def _priority_factor(self, priority: int) -> float:
        return 0.0 if priority > 0 else LOW_PRIORITY_FACTOR
