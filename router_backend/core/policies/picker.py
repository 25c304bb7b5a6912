"""Picks a candidate by the costs that a policy sets: the only place that draws and explores."""

import math
import random
from collections.abc import Sequence

from router_backend.core.choosing.decision import Choice
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate

SHARE = 0.003
CAP_LATENCIES = 5.0
DEVIATIONS = 2.0


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
        if policy.counts:
            policy.picked(best)
        if self._budget is None:
            return best, 1.0, False
        probe = self._budget.probe(policy.explorable(candidates), best)
        return (best, 1.0, False) if probe is None else (probe, 1.0, True)

    def odds(self, candidates: Sequence[Candidate], request: Request) -> Sequence[float]:
        """Return the probability of picking each of the candidates, without picking one."""
        policy = self.policy
        policy.score(candidates, request)
        if policy.draws:
            return policy.probabilities(candidates)
        picked = best = lowest_cost(candidates)
        if self._budget is not None:
            picked = self._budget.promising(policy.explorable(candidates), best)[0] or best
        return [float(candidate is picked) for candidate in candidates]


def lowest_cost(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate of lowest cost, the first one if several are equal."""
    best = candidates[0]
    for candidate in candidates:
        if candidate.cost < best.cost:
            best = candidate
    return best


class ExplorationBudget:
    """A budget, in ms of latency, that requests may lose to exploration.

    Every request adds 0.3 % of its predicted latency. The budget is capped at 5 latencies, or at the highest
    excess cost of a candidate if that is more: even a candidate that looked hopeless when it was first
    measured is eventually tried again. A candidate is worth a probe if it would be the best were it two
    standard deviations faster than predicted, and affordable if its predicted excess fits the budget; the
    probe is charged as if it were two standard deviations slower. The excess is one of cost, so that what a
    policy adds to the latency (a price on congestion) applies to probes as well.
    """

    __slots__ = ("_tokens_ms",)

    def __init__(self) -> None:
        self._tokens_ms = 0.0

    def probe(self, candidates: Sequence[Candidate], best: Candidate) -> Candidate | None:
        """Return the candidate to try instead of the best one, by costs in ms; `None` if none is worth it."""
        promising, self._tokens_ms = self.promising(candidates, best)
        return promising

    def promising(self, candidates: Sequence[Candidate], best: Candidate) -> tuple[Candidate | None, float]:
        """Return what `probe` would, and the budget that would be left."""
        best_ms = best.wait_ms + best.service_ms
        tokens_ms = self._tokens_ms + SHARE * best_ms
        cap_ms = CAP_LATENCIES * best_ms
        best_cost = best.cost
        promising = None
        hoped_ms = feared_ms = 0.0
        for candidate in candidates:
            excess_ms = candidate.cost - best_cost
            if excess_ms > cap_ms:
                cap_ms = excess_ms
            if excess_ms > tokens_ms or candidate is best:
                continue
            spread_ms = DEVIATIONS * candidate.service_ms * math.sqrt(candidate.variance)
            if excess_ms - spread_ms < hoped_ms:
                promising, hoped_ms, feared_ms = candidate, excess_ms - spread_ms, excess_ms + spread_ms
        return promising, (tokens_ms if tokens_ms < cap_ms else cap_ms) - feared_ms
