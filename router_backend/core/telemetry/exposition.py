"""The metrics as OpenMetrics text, by prometheus-client."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from router_backend.core.telemetry.metrics import METRICS, Kind, Metric, samples
from router_backend.core.telemetry.snapshot import RoutingMetrics

IN_PROCESS = "in_process"
"""The label of the gauges of a router in the caller's own process."""


class RoutingCollector(Collector):
    """Passes the metrics to prometheus-client."""

    def __init__(self, metrics: RoutingMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Family]:
        """Return a family for each metric that has a value."""
        families: dict[Metric[Any], CounterMetricFamily | GaugeMetricFamily] = {}
        for metric, labels, value in samples(self._metrics, IN_PROCESS):
            if metric not in families:
                families[metric] = _family(metric)
            families[metric].add_metric(labels, value)
        return [families[metric] for metric in METRICS if metric in families]


def exposition(metrics: RoutingMetrics) -> str:
    """Return the metrics as OpenMetrics text."""
    registry = CollectorRegistry()
    registry.register(RoutingCollector(metrics))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.decode()


def _family(metric: Metric[Any]) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
