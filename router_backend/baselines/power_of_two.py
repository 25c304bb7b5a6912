"""The power of two choices."""

from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class PowerOfTwoPolicy(Policy):
    """Of two candidates drawn at random, the one with fewer requests in flight; the first if equal.

    The cost is the number in flight with this request, divided by the weight. Of the K (K - 1) ordered draws
    without replacement, a candidate wins as the first against all of its cost or more, and as the second
    against all of more.

    References:
        Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 2001. Finagle's P2C
        draws without replacement, as here; Envoy's least request (default `choice_count` 2) with it.
    """

    name: ClassVar[str] = "p2c"

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the number in flight, with this request and by weight, as cost."""
        for candidate in candidates:
            candidate.cost = (candidate.in_flight + 1) / candidate.weight

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        """Return the share of the ordered draws that each candidate wins."""
        costs = [candidate.cost for candidate in candidates]
        draws = len(costs) * (len(costs) - 1)
        return [_draws_won(costs, own) / draws for own in costs] if draws else [1.0]


def _draws_won(costs: Sequence[float], own: float) -> int:
    """Return how many ordered draws a candidate of cost `own` wins, which is one of the `costs`."""
    return sum((cost >= own) + (cost > own) for cost in costs) - 1
