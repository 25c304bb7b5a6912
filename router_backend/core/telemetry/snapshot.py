"""`RoutingMetrics`: the router's counts and the state of its variants at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass

from router_backend.core.records.basis import Basis
from router_backend.core.records.outcome import Outcome
from router_backend.core.records.variant import Device
from router_backend.core.telemetry.counters import ModelCounts, VariantCounts
from router_backend.core.variants.health import BreakerState
from router_backend.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class VariantMetrics:
    """One variant.

    Args:
        variant: its name.
        device: the hardware it runs on.
        counts: what was counted since it was registered.
        measurements_rejected: implausible measurements of latency, memory and power, which were not learned.
        drift_alarms: how often a permanent change of its service time was detected.
        in_flight: requests routed to it and not finished.
        utilization: service time sent to it in the last seconds, per second and instance.
        breaker: the state of its breaker.
        basis: what its predictions are based on.
        ready: whether Triton has loaded it, as far as is known.
        confidence: 1 minus the relative standard deviation of the predicted service time.
    """

    variant: str
    device: Device
    counts: VariantCounts
    measurements_rejected: int
    drift_alarms: int
    in_flight: int
    utilization: float
    breaker: BreakerState
    basis: Basis
    ready: bool
    confidence: float

    @property
    def total_requests(self) -> int:
        """Requests that were routed to it and have ended."""
        return sum(sum(ends.values()) for ends in self.counts.ends.values())

    @property
    def answers(self) -> int:
        """Answers with a plausible latency."""
        return sum(self.counts.answers_within)

    @property
    def avg_latency_ms(self) -> float:
        """Mean latency of its answers; 0 before the first."""
        return self.counts.latency_ms / self.answers if self.answers else 0.0

    def count(self, outcome: Outcome) -> int:
        """Return how many requests ended in this way."""
        return sum(ends[outcome] for ends in self.counts.ends.values())


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """One logical model.

    Args:
        model_name: what clients call it.
        variants: its variants by name.
        counts: what was counted apart from the variants.
        config_age_s: time since the current settings were applied.
        treatment_fractions: the current share of units that get the treatment, by experiment; 0 if guardrails
            stopped the treatment or the experiment has ended.
    """

    model_name: str
    variants: Mapping[str, VariantMetrics]
    counts: ModelCounts
    config_age_s: float
    treatment_fractions: Mapping[str, float]

    @property
    def total_requests(self) -> int:
        """Requests that were routed and have ended; a retry counts again."""
        return sum(variant.total_requests for variant in self.variants.values())

    @property
    def backend_counts(self) -> dict[Device, int]:
        """The same by device; 0 if the model has no variant there."""
        counts = dict.fromkeys(Device, 0)
        for variant in self.variants.values():
            counts[variant.device] += variant.total_requests
        return counts

    @property
    def avg_latency_ms(self) -> dict[Device, float]:
        """Mean latency of the answers from each device; 0 if there were none."""
        answers, latency_ms = dict.fromkeys(Device, 0), dict.fromkeys(Device, 0.0)
        for variant in self.variants.values():
            answers[variant.device] += variant.answers
            latency_ms[variant.device] += variant.counts.latency_ms
        return {device: latency_ms[device] / count if count else 0.0 for device, count in answers.items()}

    @property
    def avg_decision_us(self) -> float:
        """Mean duration of a decision; 0 before the first."""
        counts = self.counts
        return counts.decision_s / counts.decisions * 1e6 if counts.decisions else 0.0


@dataclass(frozen=True, slots=True)
class RoutingMetrics:
    """All logical models of a router.

    Args:
        models: by name.

    Examples:
        >>> from router_backend import Device, ModelRouter, RoutingContext, Variant
        >>> router = ModelRouter(clock=lambda: 0.0)
        >>> router.register_model("resnet50", variants=[Variant("resnet50_gpu", Device.GPU)])
        >>> router.record_execution(router.route_request("resnet50", RoutingContext()), latency_ms=4.0)
        >>> metrics = router.get_metrics().get_model_metrics("resnet50")
        >>> metrics.total_requests, metrics.backend_counts[Device.GPU], metrics.avg_latency_ms[Device.GPU]
        (1, 1, 4.0)
    """

    models: Mapping[str, ModelMetrics]

    def get_model_metrics(self, model_name: str) -> ModelMetrics:
        """Return one model's metrics.

        Raises:
            InvalidRequestError: the model is unknown.
        """
        try:
            return self.models[model_name]
        except KeyError:
            known = ", ".join(self.models) or "none yet"
            raise InvalidRequestError(f"model '{model_name}' is not registered: found {known}") from None
