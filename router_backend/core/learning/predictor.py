"""What can be learned about a quantity of a request, and how its variance grows with time."""

from router_backend.core.learning.affine import AffineLaw

# Range of a plausible size or quantity, in any unit. It also keeps the squares in the sums finite.
MIN_PLAUSIBLE = 1e-9
MAX_PLAUSIBLE = 1e12

# Squared relative standard deviations.
VARIANCE_UNKNOWN = 1.0
"""Before the first observation, and the upper limit."""
VARIANCE_START = 0.25
"""Prior variance of a law, divided by one more than the number of observations."""
VARIANCE_GROWTH_PER_S = 0.01
"""Growth per second without observations."""


def variance_of(law: AffineLaw) -> float:
    """Return the squared relative standard deviation of a law's prediction at its last observation."""
    return min((law.relative_variance() + VARIANCE_START) / (law.n + 1.0), VARIANCE_UNKNOWN)


def widened(variance: float, idle_s: float) -> float:
    """Return a variance after `idle_s` seconds without observations."""
    if idle_s <= 0.0:
        return variance
    variance += VARIANCE_GROWTH_PER_S * idle_s
    return variance if variance < VARIANCE_UNKNOWN else VARIANCE_UNKNOWN
