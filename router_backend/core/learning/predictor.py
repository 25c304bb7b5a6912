"""What predicts one quantity of a request at one variant: its latency, memory or power."""

import math
from typing import Protocol


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


def confidence(predictor: Predictor, now_s: float) -> float:
    """How far a prediction can be trusted, from 0 (nothing is known) towards 1; it grows with data."""
    return max(0.0, 1.0 - math.sqrt(predictor.relative_variance(now_s)))
