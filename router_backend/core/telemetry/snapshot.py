"""`RoutingMetrics`: what the router has counted, and how its variants stand, at one moment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from router_backend.core.logical_model import LogicalModel
from router_backend.core.records.variant import Device
from router_backend.core.variants.counters import Outcome, Refusal
from router_backend.core.variants.health import BreakerState, Fault
from router_backend.core.variants.profile import VariantProfile
from router_backend.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class VariantMetrics:
    """One variant. Counts are since the router was made, or the variant known.

    Args:
        variant: its name.
        device: the hardware it runs on.
        ends: requests by the policy that chose, and by how they ended.
        answers_within: timed answers by the first of LATENCY_BOUNDS_MS that their latency was not above.
        latency_ms: latency of these answers, in all.
        prediction_error_ms: distances of their latency from what was predicted, in all.
        deadline_misses: answers above their deadline.
        faults: failures of its own.
        retries: requests that went on to another variant.
        measurements_rejected: latencies, memory and power that cannot be: nothing was learned from them.
        drift_alarms: how often its service time was seen to have changed for good.
        in_flight: requests routed to it and not finished.
        utilization: service time sent to it in the last seconds per second and instance.
        breaker: the state of its breaker.
        ready: whether Triton has it loaded, as far as is known.
        confidence: 1 less the relative standard deviation of the predicted service time.
    """

    variant: str
    device: Device
    ends: Mapping[str, Mapping[Outcome, int]]
    answers_within: tuple[int, ...]
    latency_ms: float
    prediction_error_ms: float
    deadline_misses: int
    faults: Mapping[Fault, int]
    retries: int
    measurements_rejected: int
    drift_alarms: int
    in_flight: int
    utilization: float
    breaker: BreakerState
    ready: bool
    confidence: float

    @property
    def total_requests(self) -> int:
        """Requests that it was chosen for, and that have ended."""
        return sum(count for ends in self.ends.values() for count in ends.values())

    @property
    def answers(self) -> int:
        """Answers with a latency."""
        return sum(self.answers_within)

    @property
    def avg_latency_ms(self) -> float:
        """Mean latency of its answers; 0 before the first."""
        return self.latency_ms / self.answers if self.answers else 0.0

    def count(self, outcome: Outcome) -> int:
        """Requests that ended so."""
        return sum(ends[outcome] for ends in self.ends.values())


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """One logical model.

    Args:
        model_name: what clients call it.
        variants: its variants by name.
        decisions: how many were made or refused.
        decision_s: how long these took, in all.
        refusals: requests without an answer.
        configs_accepted: changes of its settings that were taken up.
        configs_refused: changes that were not.
        config_age_s: how long the settings in force have been that.
        arms: first tries of requests in experiments, by the experiment's name and the arm, and by how they
            ended; those of experiments that are over stay.
        treatment_fractions: the share of the units that gets the treatment now, by experiment; 0 for those
            that the guardrails have stopped, or that are over.
    """

    model_name: str
    variants: Mapping[str, VariantMetrics]
    decisions: int
    decision_s: float
    refusals: Mapping[Refusal, int]
    configs_accepted: int
    configs_refused: int
    config_age_s: float
    arms: Mapping[tuple[str, str], Mapping[Outcome, int]]
    treatment_fractions: Mapping[str, float]

    @property
    def total_requests(self) -> int:
        """Requests that a variant was chosen for, and that have ended; a retry counts again."""
        return sum(variant.total_requests for variant in self.variants.values())

    @property
    def backend_counts(self) -> dict[Device, int]:
        """The same for each device; 0 where the model has no variant."""
        counts = dict.fromkeys(Device, 0)
        for variant in self.variants.values():
            counts[variant.device] += variant.total_requests
        return counts

    @property
    def avg_latency_ms(self) -> dict[Device, float]:
        """Mean latency of the answers from each device; 0 where there were none."""
        answers, latency_ms = dict.fromkeys(Device, 0), dict.fromkeys(Device, 0.0)
        for variant in self.variants.values():
            answers[variant.device] += variant.answers
            latency_ms[variant.device] += variant.latency_ms
        return {device: latency_ms[device] / count if count else 0.0 for device, count in answers.items()}

    @property
    def avg_decision_us(self) -> float:
        """Mean duration of a decision; 0 before the first."""
        return self.decision_s / self.decisions * 1e6 if self.decisions else 0.0


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
        """One model's.

        Raises:
            InvalidRequestError: the model is unknown.
        """
        try:
            return self.models[model_name]
        except KeyError:
            known = ", ".join(self.models) or "none yet"
            raise InvalidRequestError(f"model '{model_name}' is not registered: found {known}") from None


def read_metrics(models: Mapping[str, LogicalModel], now_s: float) -> RoutingMetrics:
    """What the models have counted so far; to be called under the router's lock."""
    return RoutingMetrics({name: _of_model(model, now_s) for name, model in models.items()})


def _of_model(model: LogicalModel, now_s: float) -> ModelMetrics:
    sums = model.sums
    return ModelMetrics(
        model.name,
        {name: _of_variant(profile, now_s) for name, profile in model.profiles.items()},
        sums.decisions,
        sums.decision_s,
        dict(sums.refusals),
        sums.configs_accepted,
        sums.configs_refused,
        now_s - sums.configured_s,
        {arm: ends.by_outcome() for arm, ends in sums.arms.items()},
        {
            **{experiment_id: 0.0 for experiment_id, _ in sums.arms},
            **{name: running.fraction(now_s) for name, running in model.running_experiments.items()},
        },
    )


def _of_variant(profile: VariantProfile, now_s: float) -> VariantMetrics:
    sums = profile.sums
    return VariantMetrics(
        variant=profile.variant.name,
        device=profile.variant.device,
        ends={policy: ends.by_outcome() for policy, ends in sums.ends.items()},
        answers_within=tuple(sums.within),
        latency_ms=sums.latency_ms,
        prediction_error_ms=sums.prediction_error_ms,
        deadline_misses=sums.deadline_misses,
        faults=dict(sums.faults),
        retries=sums.retries,
        measurements_rejected=profile.measurements_rejected,
        drift_alarms=profile.latency.change.alarms,
        in_flight=profile.load.in_flight,
        utilization=profile.load.utilization(now_s),
        breaker=profile.breaker.state,
        ready=profile.not_ready_reason is None,
        confidence=1.0 - math.sqrt(profile.latency.relative_variance(now_s)),
    )
