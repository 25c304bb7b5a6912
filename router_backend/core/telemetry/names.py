"""Every metric of the router: name, help, unit, kind and labels, after Prometheus' naming rules.

The names are the same in `ModelRouter.export_prometheus_metrics()` and in Triton's metrics endpoint. That
endpoint cannot show a histogram that is added to in bulk, and `promtool` refuses the label `le` on a counter:
the latencies are cumulative counters with the label `le_seconds`. They answer quantiles all the same, by
`histogram_quantile` of a `label_replace` (docs/operate/metrics.md has the query).

References:
    Prometheus, Metric and label naming, https://prometheus.io/docs/practices/naming/
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a metric's value may do: a counter only grows."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Args:
        name: as Prometheus stores it; a counter's ends with `_total`.
        help: what it says, in a sentence.
        kind: counter or gauge.
        labels: the names of its labels.
        unit: the unit of its value, which its name holds too; empty: it counts.
    """

    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str = ""


VARIANT = ("model", "variant", "device")
# Prometheus itself labels what it reads with `instance`: a second label of that name would be renamed.
OF_INSTANCE = (*VARIANT, "router_instance")

REQUESTS = Metric(
    "model_router_requests_total",
    "Requests that a variant was chosen for, by how they ended: success, failure or ignored.",
    Kind.COUNTER,
    ("model", "variant", "policy", "device", "outcome"),
)
REQUESTS_WITHIN = Metric(
    "model_router_requests_within_total",
    "Answered requests whose latency was at most le_seconds, waiting at the variant included.",
    Kind.COUNTER,
    (*VARIANT, "le_seconds"),
)
REQUEST_DURATION = Metric(
    "model_router_request_duration_seconds_total",
    "Sum of the latencies of answered requests, waiting at the variant included.",
    Kind.COUNTER,
    VARIANT,
    "seconds",
)
PREDICTION_ERROR = Metric(
    "model_router_prediction_error_seconds_total",
    "Sum of the distances between the predicted and the observed latency of answered requests.",
    Kind.COUNTER,
    VARIANT,
    "seconds",
)
DEADLINE_MISSES = Metric(
    "model_router_deadline_misses_total",
    "Answered requests whose latency was above their deadline.",
    Kind.COUNTER,
    VARIANT,
)
FAULTS = Metric(
    "model_router_faults_total",
    "Failures that were the variant's own, by fault: error, or dead where its process had ended.",
    Kind.COUNTER,
    (*VARIANT, "fault"),
)
MEASUREMENTS_REJECTED = Metric(
    "model_router_measurements_rejected_total",
    "Measurements of latency, memory or power that were rejected as implausible and not learned from.",
    Kind.COUNTER,
    VARIANT,
)
DRIFT_ALARMS = Metric(
    "model_router_drift_alarms_total",
    "Times that a permanent change of a variant's service time was detected.",
    Kind.COUNTER,
    VARIANT,
)
RETRIES = Metric(
    "model_router_retries_total",
    "Requests that were sent to another variant after this one had failed them.",
    Kind.COUNTER,
    VARIANT,
)
REFUSALS = Metric(
    "model_router_refusals_total",
    "Requests without an answer, by reason: invalid_request, no_variant, deadline or overloaded.",
    Kind.COUNTER,
    ("model", "reason"),
)
EXPERIMENT_REQUESTS = Metric(
    "model_router_experiment_requests_total",
    "Requests that took part in an experiment, by arm and by how they ended.",
    Kind.COUNTER,
    ("model", "experiment", "arm", "outcome"),
)
EXPERIMENT_FRACTION = Metric(
    "model_router_experiment_treatment_ratio",
    "Share of the units that gets the treatment now; 0 once the guardrails have stopped it, or it has ended.",
    Kind.GAUGE,
    ("model", "experiment", "router_instance"),
    "ratio",
)
DECISIONS = Metric(
    "model_router_decisions_total",
    "Times that a variant was chosen or none was found, tries after a failure and warm-ups included.",
    Kind.COUNTER,
    ("model",),
)
DECISION_DURATION = Metric(
    "model_router_decision_duration_seconds_total",
    "Sum of the time that decisions took, waiting for another thread's included.",
    Kind.COUNTER,
    ("model",),
    "seconds",
)
CONFIG_RELOADS = Metric(
    "model_router_config_reloads_total",
    "Changes of the routing configuration that were met while serving: accepted or refused.",
    Kind.COUNTER,
    ("model", "outcome"),
)
IN_FLIGHT = Metric(
    "model_router_in_flight_requests",
    "Requests that are routed to the variant and not finished.",
    Kind.GAUGE,
    OF_INSTANCE,
)
UTILIZATION = Metric(
    "model_router_utilization_ratio",
    "Service time sent to the variant in the last seconds per second and instance; above 1: overload.",
    Kind.GAUGE,
    OF_INSTANCE,
    "ratio",
)
BREAKER_STATE = Metric(
    "model_router_breaker_state",
    "1 for the state that the variant's breaker is in: closed, open or half-open.",
    Kind.GAUGE,
    (*OF_INSTANCE, "state"),
)
READY = Metric(
    "model_router_variant_ready",
    "Whether the variant can take requests: 1, or 0 where it is not loaded.",
    Kind.GAUGE,
    OF_INSTANCE,
)
CONFIDENCE = Metric(
    "model_router_prediction_confidence_ratio",
    "1 less the relative standard deviation of the predicted service time; 0 before anything is learned.",
    Kind.GAUGE,
    OF_INSTANCE,
    "ratio",
)
CONFIG_AGE = Metric(
    "model_router_config_age_seconds",
    "Time since the current routing configuration was applied.",
    Kind.GAUGE,
    ("model", "router_instance"),
    "seconds",
)

METRICS = (
    REQUESTS,
    REQUESTS_WITHIN,
    REQUEST_DURATION,
    PREDICTION_ERROR,
    DEADLINE_MISSES,
    FAULTS,
    MEASUREMENTS_REJECTED,
    DRIFT_ALARMS,
    RETRIES,
    REFUSALS,
    EXPERIMENT_REQUESTS,
    EXPERIMENT_FRACTION,
    DECISIONS,
    DECISION_DURATION,
    CONFIG_RELOADS,
    IN_FLIGHT,
    UTILIZATION,
    BREAKER_STATE,
    READY,
    CONFIDENCE,
    CONFIG_AGE,
)
"""In the order in which they are shown."""
