"""What predicts one quantity of a request at one variant: its latency, memory or power."""

import math
from typing import Protocol

from router_backend.core.learning.affine import AffineLaw

# Of a quantity as of a size: what no clock, sensor or tensor shows, and what squares cannot hold.
MIN_PLAUSIBLE = 1e-9
MAX_PLAUSIBLE = 1e12

# Squared relative standard deviations: what is not known before a law has seen enough, and what is forgotten
# while it sees nothing.
VARIANCE_UNKNOWN = 1.0
VARIANCE_START = 0.25
VARIANCE_GROWTH_PER_S = 0.01


class Predictor(Protocol):
    """Learns a quantity as a function of the request's size, and says how sure it is."""

    @property
    def known(self) -> bool:
        """Whether anything was learned yet."""

    def update(self, x: float, value: float, now_s: float, /) -> None:
        """Learn that a request of size x showed `value`, seen at `now_s`."""

    def predict(self, x: float, /) -> float:
        """The quantity expected of a request of size x."""

    def relative_variance(self, now_s: float) -> float:
        """Squared relative standard deviation of the prediction; 1: nothing is known."""


def variance_of(law: AffineLaw) -> float:
    """Squared relative standard deviation of what a law predicts, as of its last observation."""
    return min((law.relative_variance() + VARIANCE_START) / (law.n + 1.0), VARIANCE_UNKNOWN)


def widened(variance: float, unseen_s: float) -> float:
    """A variance after a time in which nothing was seen."""
    if unseen_s <= 0.0:
        return variance
    variance += VARIANCE_GROWTH_PER_S * unseen_s
    return variance if variance < VARIANCE_UNKNOWN else VARIANCE_UNKNOWN


def confidence(predictor: Predictor, now_s: float) -> float:
    """How far a prediction can be trusted, from 0 (nothing is known) towards 1; it grows with data."""
    return max(0.0, 1.0 - math.sqrt(predictor.relative_variance(now_s)))
