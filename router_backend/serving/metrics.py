"""Creates Triton's metrics."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

from typing import Any

import triton_python_backend_utils as pb_utils

from router_backend.core.telemetry.metrics import Kind, Metric


class Metrics:
    """Creates metrics of Triton with their labels, each family once. For one thread."""

    def __init__(self) -> None:
        self._families: dict[Metric[Any], pb_utils.MetricFamily] = {}

    def series(self, metric: Metric[Any], labels: tuple[str, ...]) -> pb_utils.Metric:
        """Return a new metric with the values of its labels."""
        if metric not in self._families:
            kinds = {Kind.COUNTER: pb_utils.MetricFamily.COUNTER, Kind.GAUGE: pb_utils.MetricFamily.GAUGE}
            self._families[metric] = pb_utils.MetricFamily(
                name=metric.name, description=metric.help, kind=kinds[metric.kind]
            )
        return self._families[metric].Metric(labels=dict(zip(metric.labels, labels, strict=True)))
