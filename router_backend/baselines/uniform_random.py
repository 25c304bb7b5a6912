"""A variant drawn uniformly at random."""

from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class RandomPolicy(Policy):
    """Each of the K candidates with the probability 1/K; all cost 0."""

    name: ClassVar[str] = "random"

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the same cost for all."""
        for candidate in candidates:
            candidate.cost = 0.0

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        """Return equal probabilities."""
        return [1.0 / len(candidates)] * len(candidates)
