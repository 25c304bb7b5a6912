"""Every metric of the router: its name, help, unit, kind and labels, and how its values are read.

The names are the same in `ModelRouter.export_prometheus_metrics()` and in Triton's metrics endpoint. That
endpoint cannot add to a histogram in bulk, and `promtool` rejects the label `le` on a counter, so latencies
are cumulative counters with the label `le_seconds`. `histogram_quantile` of a `label_replace` computes their
quantiles (docs/operate/metrics.md has the query).

References:
    Prometheus, Metric and label naming, https://prometheus.io/docs/practices/naming/
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Any, Generic, NamedTuple, TypeVar

from router_backend.core.telemetry.counters import LATENCY_BOUNDS_MS
from router_backend.core.telemetry.snapshot import ModelMetrics, RoutingMetrics, VariantMetrics
from router_backend.core.variants.health import BreakerState

LE_SECONDS = (*(f"{bound_ms / 1e3:g}" for bound_ms in LATENCY_BOUNDS_MS), "+Inf")


class Kind(Enum):
    """Whether a metric only grows (counter) or is set (gauge)."""

    COUNTER = "counter"
    GAUGE = "gauge"


Source = TypeVar("Source", ModelMetrics, VariantMetrics)

Values = Mapping[tuple[str, ...], float]
"""Values by the metric's own labels."""


@dataclass(frozen=True, slots=True)
class Metric(Generic[Source]):
    """One metric.

    Args:
        name: as Prometheus stores it; a counter's ends with `_total`.
        help: its description, in a sentence.
        kind: counter or gauge.
        source_labels: the names of the labels that every metric of the same source has.
        read: returns its value, or its values by its own labels.
        own_labels: the names of its own labels.
        unit: the unit of its value, which its name contains too; empty if it counts.
    """

    name: str
    help: str
    kind: Kind
    source_labels: tuple[str, ...]
    read: Callable[[Source], float | Values]
    own_labels: tuple[str, ...] = ()
    unit: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of all its labels.

        Routers that serve the same model share counters, which add up, but have separate gauges. Their label
        is not called `instance`, since Prometheus adds a label of that name.
        """
        if self.kind is Kind.GAUGE:
            return (*self.source_labels, "router_instance", *self.own_labels)
        return (*self.source_labels, *self.own_labels)

    def values(self, source: Source) -> Values:
        """Return its values, by its own labels."""
        found = self.read(source)
        return found if isinstance(found, Mapping) else {(): found}


class Sample(NamedTuple):
    """The value of one metric, in its unit, for one set of labels."""

    metric: "Metric[Any]"
    labels: tuple[str, ...]
    value: float


_VARIANT = ("model", "variant", "device")
_MODEL = ("model",)
_COUNTER, _GAUGE = Kind.COUNTER, Kind.GAUGE

VARIANT_METRICS: tuple[Metric[VariantMetrics], ...] = (
    Metric(
        "model_router_requests_total",
        "Requests that a variant was chosen for, by how they ended: success, failure or ignored.",
        _COUNTER,
        _VARIANT,
        lambda variant: {
            (policy, outcome.value): count
            for policy, ends in variant.counts.ends.items()
            for outcome, count in ends.items()
        },
        ("policy", "outcome"),
    ),
    Metric(
        "model_router_requests_within_total",
        "Answered requests whose latency was at most le_seconds, waiting at the variant included.",
        _COUNTER,
        _VARIANT,
        lambda variant: {
            (le_seconds,): count
            for le_seconds, count in zip(LE_SECONDS, accumulate(variant.counts.answers_within), strict=True)
        },
        ("le_seconds",),
    ),
    Metric(
        "model_router_request_duration_seconds_total",
        "Sum of the latencies of answered requests, waiting at the variant included.",
        _COUNTER,
        _VARIANT,
        lambda variant: variant.counts.latency_ms / 1e3,
        unit="seconds",
    ),
    Metric(
        "model_router_prediction_error_seconds_total",
        "Sum of the distances between the predicted and the observed latency of answered requests.",
        _COUNTER,
        _VARIANT,
        lambda variant: variant.counts.prediction_error_ms / 1e3,
        unit="seconds",
    ),
    Metric(
        "model_router_deadline_misses_total",
        "Answered requests whose latency exceeded their deadline.",
        _COUNTER,
        _VARIANT,
        lambda variant: variant.counts.deadline_misses,
    ),
    Metric(
        "model_router_faults_total",
        "Calls that the variant failed: error, dead (its process has ended) or not_ready (it is not loaded).",
        _COUNTER,
        _VARIANT,
        lambda variant: {(fault.value,): count for fault, count in variant.counts.faults.items()},
        ("fault",),
    ),
    Metric(
        "model_router_measurements_rejected_total",
        "Measurements of latency, memory or power that were rejected as implausible and not learned from.",
        _COUNTER,
        _VARIANT,
        lambda variant: variant.measurements_rejected,
    ),
    Metric(
        "model_router_drift_alarms_total",
        "Times that a permanent change of a variant's service time was detected.",
        _COUNTER,
        _VARIANT,
        lambda variant: variant.drift_alarms,
    ),
    Metric(
        "model_router_retries_total",
        "Requests that were sent to another variant after this one had failed them.",
        _COUNTER,
        _VARIANT,
        lambda variant: variant.counts.retries,
    ),
    Metric(
        "model_router_in_flight_requests",
        "Requests that are routed to the variant and not finished.",
        _GAUGE,
        _VARIANT,
        lambda variant: variant.in_flight,
    ),
    Metric(
        "model_router_utilization_ratio",
        "Service time sent to the variant in the last seconds, per second and instance; above 1 is overload.",
        _GAUGE,
        _VARIANT,
        lambda variant: variant.utilization,
        unit="ratio",
    ),
    Metric(
        "model_router_breaker_state",
        "1 for the state of the variant's circuit breaker: closed, open or half-open.",
        _GAUGE,
        _VARIANT,
        lambda variant: {(state.value,): float(variant.breaker is state) for state in BreakerState},
        ("state",),
    ),
    Metric(
        "model_router_variant_ready",
        "1 if the variant can take requests, 0 if it is not loaded.",
        _GAUGE,
        _VARIANT,
        lambda variant: float(variant.ready),
    ),
    Metric(
        "model_router_prediction_confidence_ratio",
        "1 less the relative standard deviation of the predicted service time; 0 before anything is learned.",
        _GAUGE,
        _VARIANT,
        lambda variant: variant.confidence,
        unit="ratio",
    ),
)
"""One series per variant, or more."""

MODEL_METRICS: tuple[Metric[ModelMetrics], ...] = (
    Metric(
        "model_router_refusals_total",
        "Requests without an answer, by reason: invalid_request, no_variant, deadline or overloaded.",
        _COUNTER,
        _MODEL,
        lambda model: {(refusal.value,): count for refusal, count in model.counts.refusals.items()},
        ("reason",),
    ),
    Metric(
        "model_router_experiment_requests_total",
        "Requests that took part in an experiment, by arm and by how they ended.",
        _COUNTER,
        _MODEL,
        lambda model: {
            (experiment_id, arm, outcome.value): count
            for (experiment_id, arm), ends in model.counts.arms.items()
            for outcome, count in ends.items()
        },
        ("experiment", "arm", "outcome"),
    ),
    Metric(
        "model_router_experiment_treatment_ratio",
        "Share of the units that gets the treatment now; 0 if guardrails stopped it or it has ended.",
        _GAUGE,
        _MODEL,
        lambda model: {(name,): fraction for name, fraction in model.treatment_fractions.items()},
        ("experiment",),
        "ratio",
    ),
    Metric(
        "model_router_decisions_total",
        "Times that a variant was chosen or none was found, retries and warm-ups included.",
        _COUNTER,
        _MODEL,
        lambda model: model.counts.decisions,
    ),
    Metric(
        "model_router_decision_duration_seconds_total",
        "Sum of the time that decisions took, waiting for the lock included.",
        _COUNTER,
        _MODEL,
        lambda model: model.counts.decision_s,
        unit="seconds",
    ),
    Metric(
        "model_router_config_reloads_total",
        "Changes of the routing configuration while serving: accepted or refused.",
        _COUNTER,
        _MODEL,
        lambda model: {
            ("accepted",): model.counts.configs_accepted,
            ("refused",): model.counts.configs_refused,
        },
        ("outcome",),
    ),
    Metric(
        "model_router_config_age_seconds",
        "Time since the current routing configuration was applied.",
        _GAUGE,
        _MODEL,
        lambda model: model.config_age_s,
        unit="seconds",
    ),
)
"""One series per logical model, or more."""

METRICS: tuple[Metric[Any], ...] = (*VARIANT_METRICS, *MODEL_METRICS)
"""In the order of the exposition."""


def samples(metrics: RoutingMetrics, router_instance: str) -> Iterator[Sample]:
    """Yield the values of all metrics.

    `router_instance` distinguishes this router's gauges from those of others that serve the same model.
    """
    for model in metrics.models.values():
        for of_model in MODEL_METRICS:
            labels = _labels(of_model, (model.model_name,), router_instance)
            for own, value in of_model.values(model).items():
                yield Sample(of_model, (*labels, *own), value)
        for variant in model.variants.values():
            source = (model.model_name, variant.variant, variant.device.value)
            for of_variant in VARIANT_METRICS:
                labels = _labels(of_variant, source, router_instance)
                for own, value in of_variant.values(variant).items():
                    yield Sample(of_variant, (*labels, *own), value)


def _labels(metric: Metric[Any], source: tuple[str, ...], router_instance: str) -> tuple[str, ...]:
    return (*source, router_instance) if metric.kind is Kind.GAUGE else source
