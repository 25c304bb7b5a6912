"""Envoy's least request."""

from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class LeastRequestPolicy(Policy):
    """The candidate with the fewest requests in flight; of m equal ones, each with probability 1/m.

    The cost is the number in flight with this request, divided by the weight. Envoy's default compares two
    random hosts (`p2c` here); this is its `selection_method: FULL_SCAN`, which is cheap with a handful of
    variants and never worse.

    References:
        Envoy, envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest.
    """

    name: ClassVar[str] = "least_request"

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the number in flight, with this request and by weight, as cost."""
        for candidate in candidates:
            candidate.cost = (candidate.in_flight + 1) / candidate.weight

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        """Return equal probabilities for the candidates of lowest cost."""
        fewest = min(candidate.cost for candidate in candidates)
        equal = [candidate.cost == fewest for candidate in candidates]
        return [is_equal / sum(equal) for is_equal in equal]
