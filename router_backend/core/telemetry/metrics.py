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

from router_backend.core.records.basis import Basis
from router_backend.core.telemetry.counters import LATENCY_BOUNDS_MS
from router_backend.core.telemetry.snapshot import ModelMetrics, RoutingMetrics, VariantMetrics
from router_backend.core.variants.health import BreakerState

LE_SECONDS = (*(f"{bound_ms / 1e3:g}" for bound_ms in LATENCY_BOUNDS_MS), "+Inf")


class Kind(Enum):
    """What a metric's value may do: a counter only grows."""

    COUNTER = "counter"
    GAUGE = "gauge"


Source = TypeVar("Source", ModelMetrics, VariantMetrics)

Values = Mapping[tuple[str, ...], float]
"""Values by the metric's own labels."""

UNITS = ("seconds", "ratio")


@dataclass(frozen=True, slots=True)
class Metric(Generic[Source]):
    """One metric.

    Args:
        name: as Prometheus stores it; a counter's ends with `_total`, and the unit comes before that.
        help: its description, in a sentence.
        read: returns its value, or its values by its own labels.
        own_labels: the names of the labels that only it has.
        source_labels: the names of the labels that every metric of the same source has.
    """

    name: str
    help: str
    read: Callable[[Source], float | Values]
    own_labels: tuple[str, ...] = ()
    source_labels: tuple[str, ...] = ("model", "variant", "device")

    @property
    def kind(self) -> Kind:
        """Whether it is a counter or a gauge."""
        return Kind.COUNTER if self.name.endswith("_total") else Kind.GAUGE

    @property
    def unit(self) -> str:
        """The unit of its value; empty if it counts."""
        name = self.name.removesuffix("_total")
        return next((unit for unit in UNITS if name.endswith(f"_{unit}")), "")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of all its labels.

        Routers that serve the same model share counters, which add up; their gauges are kept apart.
        Prometheus itself adds a label `instance`: a second label of that name would be renamed.
        """
        if self.kind is Kind.GAUGE:
            return (*self.source_labels, "router_instance", *self.own_labels)
        return (*self.source_labels, *self.own_labels)

    def values(self, source: Source) -> Values:
        """Read its values, by its own labels."""
        found = self.read(source)
        return found if isinstance(found, Mapping) else {(): found}


class Sample(NamedTuple):
    """The value of one metric, in its unit, for one set of labels, in their order."""

    metric: Metric[Any]
    labels: tuple[str, ...]
    value: float


VARIANT_METRICS: tuple[Metric[VariantMetrics], ...] = (
    Metric(
        "model_router_requests_total",
        "Requests that a variant was chosen for, by how they ended: success, failure or ignored.",
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
        lambda variant: {
            (le_seconds,): count
            for le_seconds, count in zip(LE_SECONDS, accumulate(variant.counts.answers_within), strict=True)
        },
        ("le_seconds",),
    ),
    Metric(
        "model_router_request_duration_seconds_total",
        "Sum of the latencies of answered requests, waiting at the variant included.",
        lambda variant: variant.counts.latency_ms / 1e3,
    ),
    Metric(
        "model_router_prediction_error_seconds_total",
        "Sum of the distances between the predicted and the observed latency of answered requests.",
        lambda variant: variant.counts.prediction_error_ms / 1e3,
    ),
    Metric(
        "model_router_deadline_misses_total",
        "Answered requests whose latency exceeded their deadline.",
        lambda variant: variant.counts.deadline_misses,
    ),
    Metric(
        "model_router_faults_total",
        "Calls that the variant failed: error, rejected (it found the request invalid), unsupported (it does "
        "not support the request), wrong_answer (outputs are missing, or have another type or batch), dead "
        "(its process has ended), not_ready (it is not loaded) or overdue (it has not answered in time).",
        lambda variant: {(fault.value,): count for fault, count in variant.counts.faults.items()},
        ("fault",),
    ),
    Metric(
        "model_router_measurements_rejected_total",
        "Measurements of latency, memory or power that were rejected as implausible and not learned from.",
        lambda variant: variant.measurements_rejected,
    ),
    Metric(
        "model_router_drift_alarms_total",
        "Times that a permanent change of a variant's service time was detected.",
        lambda variant: variant.drift_alarms,
    ),
    Metric(
        "model_router_hedges_total",
        "Requests that were sent to this variant as well, since another one took longer than usual.",
        lambda variant: variant.counts.hedges,
    ),
    Metric(
        "model_router_hedges_won_total",
        "Those of them that this variant answered first.",
        lambda variant: variant.counts.hedges_won,
    ),
    Metric(
        "model_router_retries_total",
        "Requests that were sent to another variant after this one had failed them.",
        lambda variant: variant.counts.retries,
    ),
    Metric(
        "model_router_reloads_total",
        "Times that the router loaded the variant again because its process had died: succeeded or failed.",
        lambda variant: {
            ("succeeded",): variant.counts.reloads,
            ("failed",): variant.counts.failed_reloads,
        },
        ("outcome",),
    ),
    Metric(
        "model_router_in_flight_requests",
        "Requests that are routed to the variant and not finished.",
        lambda variant: variant.in_flight,
    ),
    Metric(
        "model_router_utilization_ratio",
        "Service time sent to the variant in the last seconds, per second and instance; above 1 is overload.",
        lambda variant: variant.utilization,
    ),
    Metric(
        "model_router_breaker_state",
        "1 for the state of the variant's circuit breaker: closed, open or half-open.",
        lambda variant: {(state.value,): float(variant.breaker is state) for state in BreakerState},
        ("state",),
    ),
    Metric(
        "model_router_prediction_basis",
        "1 for what predictions for the variant are based on: measured, prior or guess.",
        lambda variant: {(basis.value,): float(variant.basis is basis) for basis in Basis},
        ("basis",),
    ),
    Metric(
        "model_router_variant_ready",
        "1 if the variant can take requests, 0 if it is not loaded.",
        lambda variant: float(variant.ready),
    ),
    Metric(
        "model_router_prediction_confidence_ratio",
        "1 less the relative standard deviation of the predicted service time; 0 before anything is learned.",
        lambda variant: variant.confidence,
    ),
)
"""One series per variant, or more."""

MODEL = ("model",)

MODEL_METRICS: tuple[Metric[ModelMetrics], ...] = (
    Metric(
        "model_router_refusals_total",
        "Requests without an answer, by reason: invalid_request, no_variant, deadline, shed or overloaded.",
        lambda model: {(refusal.value,): count for refusal, count in model.counts.refusals.items()},
        ("reason",),
        source_labels=MODEL,
    ),
    Metric(
        "model_router_experiment_requests_total",
        "Requests that took part in an experiment, by arm and by how they ended.",
        lambda model: {
            (experiment_id, arm, outcome.value): count
            for (experiment_id, arm), ends in model.counts.arms.items()
            for outcome, count in ends.items()
        },
        ("experiment", "arm", "outcome"),
        source_labels=MODEL,
    ),
    Metric(
        "model_router_experiment_treatment_ratio",
        "Share of the units that gets the treatment now; 0 if guardrails stopped it or it has ended.",
        lambda model: {(name,): fraction for name, fraction in model.treatment_fractions.items()},
        ("experiment",),
        source_labels=MODEL,
    ),
    Metric(
        "model_router_decisions_total",
        "Times that a variant was chosen or none was found, retries and warm-ups included.",
        lambda model: model.counts.decisions,
        source_labels=MODEL,
    ),
    Metric(
        "model_router_decision_duration_seconds_total",
        "Sum of the time that decisions took, waiting for the lock included.",
        lambda model: model.counts.decision_s,
        source_labels=MODEL,
    ),
    Metric(
        "model_router_config_reloads_total",
        "Changes of the routing configuration while serving: accepted or refused.",
        lambda model: {
            ("accepted",): model.counts.configs_accepted,
            ("refused",): model.counts.configs_refused,
        },
        ("outcome",),
        source_labels=MODEL,
    ),
    Metric(
        "model_router_config_age_seconds",
        "Time since the current routing configuration was applied.",
        lambda model: model.config_age_s,
        source_labels=MODEL,
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
