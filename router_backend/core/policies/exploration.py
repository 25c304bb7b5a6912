"""How often a candidate that seems worse than the best is tried, by what that can gain."""

import math

from router_backend.core.variants.candidate import Candidate

GAIN_SHARE = 0.25
"""Share of the expected gain that may be spent per request."""
DOUBTED_FROM = 0.05
DOUBT_SHARE = 0.003
"""Share of the best cost that is spent on a candidate nothing is known about, however bad it seems."""
MIN_CHANCE = 1e-6
MAX_CHANCE = 0.5
CERTAIN = 9.0
"""Square of the number of standard deviations beyond which a gap between two costs is no chance."""
INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


def chance(candidate: Candidate, best: Candidate, usual_cost: float) -> float:
    """Return the probability of drawing a candidate instead of the best one, at most 1/2.

    With the log-normal belief that their costs differ by a factor of e^(z·s), where s² is the sum of the
    relative variances of both, the candidate would save s·(φ(z) - z·Φ(-z)) of the best cost in expectation
    (expected improvement), and trying it costs e^(z·s) - 1 of it. A quarter of the expected saving is spent
    on trying. In addition, a candidate whose variance is above 0.05, since it was not seen for long, is
    tried at a cost of 0.3 % of the best per unit of variance. One that would be best without its failures is
    tried with its `trial_share`, one without its rare slow answers with its `excess_trial_share`.

    References:
        Expected improvement: Jones, Schonlau and Welch, Journal of Global Optimization 13 (1998).
    """
    best_cost, cost = best.cost, candidate.cost
    if best_cost <= 0.0:
        return MAX_CHANCE if cost <= best_cost else 0.0
    gap = cost / best_cost - 1.0
    if gap <= 0.0:
        return MAX_CHANCE
    own, of_best = _variance(candidate), _variance(best)
    spent = DOUBT_SHARE * (own - DOUBTED_FROM) if own > DOUBTED_FROM else 0.0
    if own + of_best:
        spread = math.sqrt(own + of_best)
        spent += GAIN_SHARE * spread * expected_improvement(math.log1p(gap) / spread)
    drawn = spent / gap * usual_cost / best_cost
    share = candidate.failure_share
    if share and cost - share * best_cost < best_cost and drawn < candidate.trial_share:
        drawn = candidate.trial_share
    rare_ms = candidate.excess * candidate.service_ms
    if rare_ms and cost - rare_ms < best_cost and drawn < candidate.excess_trial_share:
        drawn = candidate.excess_trial_share
    return drawn if drawn < MAX_CHANCE else MAX_CHANCE


def _variance(candidate: Candidate) -> float:
    """Return the relative variance of a cost: only the service time is in doubt, not the wait."""
    variance, share = candidate.variance + candidate.excess_variance, candidate.service_ms / candidate.cost
    return variance * share * share if share < 1.0 else variance


def expected_improvement(z: float) -> float:
    """Return E[max(0, x - z)] of a standard normal x: φ(z) - z·Φ(-z)."""
    return INVERSE_SQRT_2PI * math.exp(-0.5 * z * z) - 0.5 * z * math.erfc(z * math.sqrt(0.5))
