"""Picks for one arm of an experiment, and knows what the other arm would have picked."""

import random
from collections.abc import Callable, Sequence

from router_backend.core.choosing.decision import Choice
from router_backend.core.policies.base import Policy
from router_backend.core.policies.picker import Picker
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class ArmPicker(Picker):
    """A picker whose propensities are over both arms: P(k) = share · P(k | arm) + (1 - share) · P(k | other).

    The arm of a request without a unit is drawn for it. That of a unit follows from a hash, so its
    probability is over the units that could have sent the request, and requests of one unit share it.

    Args:
        policy: the arm's policy.
        share: returns the probability of the arm at a time; 1 if arms are not drawn.

    Attributes:
        other: the other arm's picker.
    """

    __slots__ = ("_share", "other")

    def __init__(self, policy: Policy, share: Callable[[float], float]) -> None:
        super().__init__(policy)
        self._share = share
        self.other: Picker = self

    def pick(self, candidates: Sequence[Candidate], request: Request, rng: random.Random) -> Choice:
        """Return the choice among the candidates, at least one."""
        share = self._share(request.now_s)
        if share == 1.0:
            return super().pick(candidates, request, rng)
        others = self.other.odds(candidates, request)  # first, since it sets other costs
        candidate, probability, probe = super().pick(candidates, request, rng)
        return candidate, share * probability + (1.0 - share) * others[candidates.index(candidate)], probe
