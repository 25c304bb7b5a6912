"""Picks a candidate by the costs that a policy sets: the only place that draws and explores."""

import random
from collections.abc import Sequence

from router_backend.core.choosing.decision import Choice
from router_backend.core.policies.base import Policy
from router_backend.core.policies.exploration import ExplorationBudget
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class Picker:
    """A policy with the state of its exploration."""

    __slots__ = ("_budget", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._budget = ExplorationBudget() if policy.explores else None

    def pick(self, candidates: Sequence[Candidate], request: Request, rng: random.Random) -> Choice:
        """Return the choice among the candidates, at least one."""
        policy = self.policy
        policy.score(candidates, request)
        if policy.draws:
            probabilities = policy.probabilities(candidates)
            (drawn,) = rng.choices(range(len(candidates)), probabilities)
            return candidates[drawn], probabilities[drawn], False
        best = lowest_cost(candidates)
        if self._budget is None:
            return best, 1.0, False
        probe = self._budget.probe(candidates, best)
        return (best, 1.0, False) if probe is None else (probe, 1.0, True)


def lowest_cost(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate of lowest cost, the first one if several are equal."""
    best = candidates[0]
    for candidate in candidates:
        if candidate.cost < best.cost:
            best = candidate
    return best
