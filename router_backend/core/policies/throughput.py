"""The throughput-optimized policy: a higher price on congestion, and weighted work at saturation."""

import math
from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.congestion_price import CongestionPrice, priority_factor
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class ThroughputOptimizedPolicy(LatencyOptimizedPolicy):
    """Lowest W + E + price, with η = 2 as the only term of the price; lowest priced work at saturation.

    The higher price keeps the fast devices free for the requests that gain most there. If every candidate's
    utilization is above 0.9, each request goes where the time that it takes is cheapest,

        S / c · e^(0.3 · (W - lowest W) / S̄),

    where S̄ is the candidates' mean service per instance. The exponential is a shadow price of the device's
    time: it rises while a device's backlog grows beyond that of the others, so that all of them finish at the
    same time, each with the requests that it is relatively best at.

    A request of priority p pays f = 2^(-p) of the price. At saturation, the work is the price. So with f
    below 1 the cost is f times the priced work plus 1 - f times W + S: a request of high priority goes where
    it is answered first. With f above 1 the exponent is divided by f: one of low priority goes where it takes
    little time, though the queue is longer there.

    References:
        Backlogs as prices: Tassiulas and Ephremides, IEEE Transactions on Automatic Control 37 (1992);
        exponential prices: Aspnes et al., Journal of the ACM 44 (1997). 0.3 was chosen in the simulator.
    """

    name: ClassVar[str] = "throughput"

    PRICE = CongestionPrice(idle=2.0, shared=0.0, own=0.0)
    SATURATED = 0.9
    PRICE_PER_WORK = 0.3
    MAX_EXPONENT = 50.0

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the priced latency as cost; if all are saturated, the priced work."""
        self._saturated = all(candidate.utilization > self.SATURATED for candidate in candidates)
        if not self._saturated:
            super().score(candidates, request)
            return
        mean_ms = sum(c.mean_service_ms / c.concurrency for c in candidates) / len(candidates) or 1.0
        shortest_ms = min(candidate.wait_ms for candidate in candidates)
        factor = priority_factor(request.context.priority)
        per_work = self.PRICE_PER_WORK / max(factor, 1.0)
        for candidate in candidates:
            ahead = (candidate.wait_ms - shortest_ms) / mean_ms
            price = math.exp(min(per_work * ahead, self.MAX_EXPONENT))
            candidate.cost = candidate.service_ms / candidate.concurrency * price
            if factor < 1.0:
                candidate.cost = factor * candidate.cost + (1.0 - factor) * candidate.latency_ms

    def explorable(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the candidates; none if all are saturated, since costs are work then, not latency."""
        return () if self._saturated else candidates
