"""Prediction of one quantity of a request on one variant: service time, memory or power."""

import math
from typing import Protocol

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


class Predictor(Protocol):
    """A quantity learned as a function of the request's size, with its uncertainty."""

    @property
    def known(self) -> bool:
        """Whether anything has been learned yet."""

    def update(self, x: float, value: float, now_s: float, /) -> None:
        """Learn that `value` was observed at `now_s` for a request of size x."""

    def predict(self, x: float, /) -> float:
        """Return the expected quantity for a request of size x."""

    def relative_variance(self, now_s: float) -> float:
        """Return the squared relative standard deviation of the prediction; 1 if nothing is known."""


def variance_of(law: AffineLaw) -> float:
    """Return the squared relative standard deviation of a law's prediction at its last observation."""
    return min((law.relative_variance() + VARIANCE_START) / (law.n + 1.0), VARIANCE_UNKNOWN)


def widened(variance: float, idle_s: float) -> float:
    """Return a variance after `idle_s` seconds without observations."""
    if idle_s <= 0.0:
        return variance
    variance += VARIANCE_GROWTH_PER_S * idle_s
    return variance if variance < VARIANCE_UNKNOWN else VARIANCE_UNKNOWN


def confidence(predictor: Predictor, now_s: float) -> float:
    """Return the confidence of a prediction: 0 if nothing is known, towards 1 with more data."""
    return max(0.0, 1.0 - math.sqrt(predictor.relative_variance(now_s)))
