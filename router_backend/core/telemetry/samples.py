"""The values of all metrics, from what a router has counted."""

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from router_backend.core.telemetry import names
from router_backend.core.telemetry.names import Metric
from router_backend.core.telemetry.snapshot import ModelMetrics, RoutingMetrics, VariantMetrics
from router_backend.core.variants.counters import LATENCY_BOUNDS_MS, Outcome
from router_backend.core.variants.health import BreakerState

LE_SECONDS = (*(f"{bound_ms / 1e3:g}" for bound_ms in LATENCY_BOUNDS_MS), "+Inf")


class Sample(NamedTuple):
    """The value of one metric for one set of labels.

    Args:
        metric: which.
        labels: the values of its labels, in their order.
        value: in the metric's unit.
    """

    metric: Metric
    labels: tuple[str, ...]
    value: float


def samples(metrics: RoutingMetrics, router_instance: str) -> Iterator[Sample]:
    """All values.

    Args:
        metrics: what was counted.
        router_instance: tells this router's gauges from those of others that serve the same model.
    """
    for model in metrics.models.values():
        yield from _of_model(model, router_instance)
        for variant in model.variants.values():
            yield from _counts(variant, (model.model_name, variant.variant, variant.device.value))
            yield from _standing(
                variant, (model.model_name, variant.variant, variant.device.value, router_instance)
            )


def _of_model(model: ModelMetrics, router_instance: str) -> Iterator[Sample]:
    name = model.model_name
    yield Sample(names.DECISIONS, (name,), model.decisions)
    yield Sample(names.DECISION_DURATION, (name,), model.decision_s)
    for refusal, count in model.refusals.items():
        yield Sample(names.REFUSALS, (name, refusal.value), count)
    for (experiment_id, arm), ends in model.arms.items():
        for outcome in Outcome:
            yield Sample(names.EXPERIMENT_REQUESTS, (name, experiment_id, arm, outcome.value), ends[outcome])
    for experiment_id, fraction in model.treatment_fractions.items():
        yield Sample(names.EXPERIMENT_FRACTION, (name, experiment_id, router_instance), fraction)
    yield Sample(names.CONFIG_RELOADS, (name, "accepted"), model.configs_accepted)
    yield Sample(names.CONFIG_RELOADS, (name, "refused"), model.configs_refused)
    yield Sample(names.CONFIG_AGE, (name, router_instance), model.config_age_s)


def _counts(variant: VariantMetrics, labels: tuple[str, str, str]) -> Iterator[Sample]:
    model_name, name, device = labels
    for policy, ends in variant.ends.items():
        for outcome in Outcome:
            yield Sample(names.REQUESTS, (model_name, name, policy, device, outcome.value), ends[outcome])
    for le_seconds, count in zip(LE_SECONDS, accumulate(variant.answers_within), strict=True):
        yield Sample(names.REQUESTS_WITHIN, (*labels, le_seconds), count)
    yield Sample(names.REQUEST_DURATION, labels, variant.latency_ms / 1e3)
    yield Sample(names.PREDICTION_ERROR, labels, variant.prediction_error_ms / 1e3)
    yield Sample(names.DEADLINE_MISSES, labels, variant.deadline_misses)
    for fault, count in variant.faults.items():
        yield Sample(names.FAULTS, (*labels, fault.value), count)
    yield Sample(names.MEASUREMENTS_REJECTED, labels, variant.measurements_rejected)
    yield Sample(names.DRIFT_ALARMS, labels, variant.drift_alarms)
    yield Sample(names.RETRIES, labels, variant.retries)


def _standing(variant: VariantMetrics, labels: tuple[str, str, str, str]) -> Iterator[Sample]:
    yield Sample(names.IN_FLIGHT, labels, variant.in_flight)
    yield Sample(names.UTILIZATION, labels, variant.utilization)
    for state in BreakerState:
        yield Sample(names.BREAKER_STATE, (*labels, state.value), float(variant.breaker is state))
    yield Sample(names.READY, labels, float(variant.ready))
    yield Sample(names.CONFIDENCE, labels, variant.confidence)
