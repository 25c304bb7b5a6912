"""Picks a candidate by the costs that a policy sets: the only place that weighs, draws and explores."""

import random
from collections.abc import Sequence

from router_backend.core.choosing.decision import Choice
from router_backend.core.policies.base import Policy
from router_backend.core.policies.exploration import CERTAIN, DOUBTED_FROM, MIN_CHANCE, chance
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate

USUAL_STEP = 0.01


class Picker:
    """Picks by a policy's probabilities, or its lowest cost; policies that explore may get another candidate.

    The expected retry of a request that a candidate fails is added to its cost, and every candidate that may
    be better than the best is drawn with its `chance`.
    """

    __slots__ = ("_usual_cost", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._usual_cost = 0.0

    def pick(self, candidates: Sequence[Candidate], request: Request, rng: random.Random) -> Choice:
        """Return the choice among the candidates, at least one."""
        policy = self.policy
        policy.score(candidates, request)
        if policy.draws:
            probabilities = _weighted(policy.probabilities(candidates), candidates)
            (drawn,) = rng.choices(range(len(candidates)), probabilities)
            return candidates[drawn], probabilities[drawn], False
        failing = False
        for candidate in candidates:
            if candidate.weight != 1.0:
                candidate.cost = weighted_cost(candidate)
            if candidate.failure_share:
                failing = True
        if not policy.explores:
            return lowest_cost(candidates), 1.0, False
        if failing:
            add_retries(candidates)
        best = lowest_cost(candidates)
        return self._explore(policy.explorable(candidates), best, rng)

    def _explore(self, candidates: Sequence[Candidate], best: Candidate, rng: random.Random) -> Choice:
        """Return the best candidate, or one that may be better, drawn by its chance.

        With several, candidate k is drawn with the probability o_k / (1 + Σ o), where o_k = p_k / (1 - p_k)
        are the odds of its chance p_k against the best alone; so equal ones are drawn with equal probability.
        """
        total = 0.0
        odds: list[tuple[Candidate, float]] = []
        best_cost = best.cost
        best_doubt = best.service_ms * best.service_ms * best.variance
        for candidate in candidates:
            excess = candidate.cost - best_cost
            service_ms, variance = candidate.service_ms, candidate.variance
            doubt = service_ms * service_ms * variance + best_doubt
            if excess * excess > CERTAIN * doubt and variance <= DOUBTED_FROM:
                if not candidate.failure_share:
                    continue  # the usual case: the chance is 0
            elif candidate is best:
                continue
            if not odds:
                self._follow(best_cost)
            probability = chance(candidate, best, self._usual_cost)
            if probability > MIN_CHANCE:
                total += probability / (1.0 - probability)
                odds.append((candidate, total))
        return _drawn(odds, total, best, rng) if odds else (best, 1.0, False)

    def _follow(self, best_cost: float) -> None:
        """Follow the usual lowest cost of the decisions in which there is a doubt."""
        step = USUAL_STEP if self._usual_cost else 1.0
        self._usual_cost += step * (best_cost - self._usual_cost)


def lowest_cost(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate of lowest cost; of several, that of the highest weight, or else the first one."""
    best = candidates[0]
    best_cost = best.cost
    for candidate in candidates:
        cost = candidate.cost
        if cost < best_cost or (cost == best_cost and candidate.weight > best.weight):
            best, best_cost = candidate, cost
    return best


def add_retries(candidates: Sequence[Candidate]) -> None:
    """Add to each cost that of the retry at the best other candidate, by the share of failures."""
    if len(candidates) < 2:
        return
    lowest, second = sorted([candidate.cost for candidate in candidates])[:2]
    for candidate in candidates:
        retry = second if candidate.cost == lowest else lowest
        candidate.cost += candidate.failure_share * retry


def weighted_cost(candidate: Candidate) -> float:
    """Return the cost divided by the weight; a negative one is multiplied, so that weights lower any cost."""
    cost, weight = candidate.cost, candidate.weight
    return cost / weight if cost > 0.0 else cost * weight


def _weighted(probabilities: Sequence[float], candidates: Sequence[Candidate]) -> Sequence[float]:
    """Return the probabilities in proportion to the weights, adding up to 1 again."""
    if all(candidate.weight == 1.0 for candidate in candidates):
        return probabilities
    shares = [p * candidate.weight for p, candidate in zip(probabilities, candidates, strict=True)]
    total = sum(shares)
    return [share / total for share in shares]


def _drawn(
    odds: Sequence[tuple[Candidate, float]], total: float, best: Candidate, rng: random.Random
) -> Choice:
    """Return a candidate, drawn by the cumulated odds against the best one."""
    drawn = rng.random() * (1.0 + total)
    below = 0.0
    for candidate, up_to in odds:
        if drawn < up_to:
            return candidate, (up_to - below) / (1.0 + total), candidate.cost > best.cost
        below = up_to
    return best, 1.0 / (1.0 + total), False
