"""What can be learned about a quantity of a request, and how its variance grows with time."""

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.level import MEMORY_S, SPREAD

# Range of a plausible size or quantity, in any unit. It also keeps the squares in the sums finite.
MIN_PLAUSIBLE = 1e-9
MAX_PLAUSIBLE = 1e12

# Squared relative standard deviations.
VARIANCE_UNKNOWN = 1.0
"""Before the first observation, and the upper limit."""
VARIANCE_START = 0.25
"""Prior variance of a law, divided by one more than the number of observations."""
LEVEL_VARIANCE = SPREAD * SPREAD
"""What not knowing a variant's level adds."""
VARIANCE_GROWTH_PER_S = 0.001
"""Growth per second without observations, beyond the level: the law itself may have changed."""
EARLY_GROWTH_PER_S = LEVEL_VARIANCE / MEMORY_S + VARIANCE_GROWTH_PER_S
"""Growth while the level becomes unknown, which takes about ten seconds."""


def variance_of(law: AffineLaw) -> float:
    """Return the squared relative standard deviation of a law's prediction at its last observation."""
    return min((law.relative_variance() + VARIANCE_START) / (law.n + 1.0), VARIANCE_UNKNOWN)
