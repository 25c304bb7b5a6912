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

    __slots__ = ("_counts", "_draws", "_explores", "_usual_cost", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        # Every decision reads these; an attribute of a class takes longer.
        self._counts, self._draws, self._explores = policy.counts, policy.draws, policy.explores
        self._usual_cost = 0.0

    def pick(self, candidates: Sequence[Candidate], request: Request, rng: random.Random) -> Choice:
        """Return the choice among the candidates, at least one."""
        policy = self.policy
        policy.score(candidates, request)
        if self._draws:
            probabilities = _weighted(policy.probabilities(candidates), candidates)
            (drawn,) = rng.choices(range(len(candidates)), probabilities)
            return candidates[drawn], probabilities[drawn], False
        best = self._best(candidates)
        if self._counts and not request.context.dry_run:
            policy.picked(best)
        if not self._explores:
            return best, 1.0, False
        rivals = rivals_of(policy.explorable(candidates), best, self._usual_cost or best.cost)
        if not rivals:
            return best, 1.0, False
        if not request.context.dry_run:
            step = USUAL_STEP if self._usual_cost else 1.0
            self._usual_cost += step * (best.cost - self._usual_cost)
        return draw(rivals, best, rng)

    def odds(self, candidates: Sequence[Candidate], request: Request) -> Sequence[float]:
        """Return the probability of picking each of the candidates, without picking one."""
        policy = self.policy
        policy.score(candidates, request)
        if policy.draws:
            return _weighted(policy.probabilities(candidates), candidates)
        best = self._best(candidates)
        rivals = (
            rivals_of(policy.explorable(candidates), best, self._usual_cost or best.cost)
            if policy.explores
            else []
        )
        odds = dict(rivals) | {best: 1.0}
        total = sum(odds.values())
        return [odds.get(candidate, 0.0) / total for candidate in candidates]

    def _best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Complete the costs by weights and retries, and return the candidate of the lowest."""
        failing = False
        for candidate in candidates:
            if candidate.weight != 1.0:
                candidate.cost = weighted_cost(candidate)
            if candidate.failure_share:
                failing = True
        if failing and self._explores:
            add_retries(candidates)
        return lowest_cost(candidates)


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


def rivals_of(
    candidates: Sequence[Candidate], best: Candidate, usual_cost: float
) -> list[tuple[Candidate, float]]:
    """Return the candidates that may be better than the best one, with their odds against it.

    The odds are p / (1 - p) of the chance p. Each is drawn with the share of its odds among all, those of
    the best one being 1; so candidates of equal cost are drawn with equal probability.
    """
    rivals: list[tuple[Candidate, float]] = []
    best_cost = best.cost
    best_doubt = best.service_ms * best.service_ms * best.variance
    for candidate in candidates:
        if candidate is best:
            continue
        gap = candidate.cost - best_cost
        service_ms, variance = candidate.service_ms, candidate.variance
        if variance <= DOUBTED_FROM:
            doubt = service_ms * service_ms * variance + best_doubt
            if gap * gap > CERTAIN * doubt and not (candidate.failure_share or candidate.excess):
                continue  # the usual case: the chance is 0
        probability = chance(candidate, best, usual_cost)
        if probability > MIN_CHANCE:
            rivals.append((candidate, probability / (1.0 - probability)))
    return rivals


def draw(rivals: Sequence[tuple[Candidate, float]], best: Candidate, rng: random.Random) -> Choice:
    """Return a candidate, drawn by the odds against the best one."""
    total = 1.0
    for _, odds in rivals:
        total += odds
    drawn = rng.random() * total
    for candidate, odds in rivals:
        drawn -= odds
        if drawn < 0.0:
            return candidate, odds / total, candidate.cost > best.cost
    return best, 1.0 / total, False
