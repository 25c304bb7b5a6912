"""The latency-optimized policy: shortest expected delay, with a price on congestion."""

from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.policies.congestion_price import CongestionPrice
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class LatencyOptimizedPolicy(Policy):
    """Lowest W + E + price, as `CongestionPrice` computes it; occasionally a probe.

    References:
        Shortest expected delay: arXiv 1509.03535.
    """

    name: ClassVar[str] = "latency"
    explores: ClassVar[bool] = True

    PRICE = CongestionPrice()

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the priced latency as cost."""
        self.PRICE.set_costs(candidates, request.context.priority)
