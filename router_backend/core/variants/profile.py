"""What was learned about one variant: latency, memory and power as functions of the request's size."""

import math

from router_backend.core.learning.interval import ConformalInterval
from router_backend.core.learning.latency_model import LatencyModel
from router_backend.core.learning.pace import LearningPace
from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.records.suitability import Suitability


class ModelProfile:
    """The estimators of one variant, and what they learn from an answer.

    Args:
        suitability: priors for what was not measured yet.
        coverage: share of latencies that the prediction interval should contain.

    Attributes:
        latency: predicts the service time.
        memory: predicts the memory that a request takes, in MB.
        power: predicts the power that is drawn for it, in W.
        interval: the prediction interval of the latency.
    """

    __slots__ = ("_pace", "interval", "latency", "memory", "power")

    def __init__(self, suitability: Suitability, coverage: float) -> None:
        self.latency = LatencyModel()
        self.memory = ResourceModel(suitability.memory_mb or 0.0)
        self.power = ResourceModel(suitability.power_w or 0.0)
        self.interval = ConformalInterval(coverage)
        self._pace = LearningPace()

    @property
    def measurements_rejected(self) -> int:
        """Measurements that are implausible, or that the clock contradicts."""
        return self.latency.rejected + self.memory.rejected + self.power.rejected

    def confidence(self, now_s: float) -> float:
        """How far the predicted service time can be trusted: 1 - relative standard deviation, 0 to 1."""
        return 1.0 - math.sqrt(self.latency.relative_variance(now_s))

    def learn(
        self, size: float, service_ms: float, expected_ms: float, latency_ms: float, now_s: float
    ) -> bool:
        """Learn from an answer, unless so many come that not all of them are needed.

        Args:
            size: the request's size x.
            service_ms: how long it was served.
            expected_ms: the latency that was predicted for it; 0 if none was.
            latency_ms: from sending to answer.
            now_s: the time.

        Returns:
            Whether the measurement was plausible.
        """
        if not self._pace.takes(now_s):
            return True
        learned = self.latency.update(size, service_ms, now_s)
        if learned and expected_ms > 0.0:
            self.interval.update(math.log(latency_ms / expected_ms))
        return learned

    def learn_resources(
        self, size: float, memory_mb: float | None, power_w: float | None, now_s: float
    ) -> None:
        """Learn what a request of `size` took; `None` if it was not measured."""
        if memory_mb is not None:
            self.memory.update(size, memory_mb, now_s)
        if power_w is not None:
            self.power.update(size, power_w, now_s)
