"""What was learned about one variant: latency, memory and power as functions of the request's size."""

import math

from router_backend.core.learning.interval import ConformalInterval
from router_backend.core.learning.latency_model import LatencyModel, remaining_after
from router_backend.core.learning.pace import LearningPace
from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.records.learned import LearnedVariant
from router_backend.core.records.variant import Variant


class ModelProfile:
    """The estimators of one variant, and what they learn from an answer.

    Args:
        variant: has priors until something is measured.
        coverage: share of latencies that the prediction interval should contain.

    Attributes:
        latency: predicts the service time.
        memory: predicts the memory that a request takes, in MB.
        power: predicts its share of the power that the device draws, in W.
        interval: the prediction interval of the latency.
    """

    __slots__ = ("_pace", "interval", "latency", "memory", "power")

    def __init__(self, variant: Variant, coverage: float) -> None:
        self.latency = LatencyModel()
        self.memory = ResourceModel(variant.suitability.memory_mb or 0.0)
        self.power = ResourceModel(variant.assumed_power_w)
        self.interval = ConformalInterval(coverage)
        self._pace = LearningPace()

    @property
    def measurements_rejected(self) -> int:
        """Measurements that are implausible or contradict the clock."""
        return self.latency.rejected + self.memory.rejected + self.power.rejected

    def confidence(self, now_s: float) -> float:
        """Return the confidence in the predicted service time: 1 - relative standard deviation, 0 to 1."""
        return 1.0 - math.sqrt(self.latency.relative_variance(now_s))

    def learn(
        self, size: float, service_ms: float, expected_ms: float, latency_ms: float, now_s: float
    ) -> bool:
        """Learn from an answer, unless the rate of answers is so high that not all are needed.

        Return whether the answer is plausible. `expected_ms` is its predicted latency, 0 if there is none.
        """
        if not self._pace.takes(now_s):
            return True
        latency = self.latency
        if latency.restored and latency.is_cold_call(size, service_ms, now_s):
            return True
        learned = latency.update(size, service_ms, now_s)
        if learned and expected_ms > 0.0:
            self.interval.update(math.log(latency_ms / expected_ms))
        return learned

    def restore(self, learned: LearnedVariant, age_s: float, now_s: float) -> None:
        """Start from what was learned before the router's start, `age_s` ago."""
        self.latency.restore(learned, age_s, now_s)
        self.interval.half_width = learned.half_width
        for model, law in ((self.memory, learned.memory), (self.power, learned.power)):
            if law is not None:
                model.restore(law, remaining_after(age_s))

    def learn_resources(self, size: float, memory_mb: float | None, power_w: float | None) -> None:
        """Learn the memory and the share of power of a request of `size`; `None` if not measured."""
        if memory_mb is not None:
            self.memory.update(size, memory_mb)
        if power_w is not None:
            self.power.update(size, power_w)
