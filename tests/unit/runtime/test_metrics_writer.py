from typing import Any

from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.telemetry.metrics import Kind, Metric
from router_backend.runtime.metrics_writer import MetricsWriter


class Total:
    """A series that keeps its value."""

    def __init__(self) -> None:
        self.value = 0.0

    def increment(self, value: float) -> None:
        self.value += value

    def set(self, value: float) -> None:
        self.value = value


def test_counters_have_the_sum_of_all_changes_and_gauges_are_left_at_zero() -> None:
    router = ModelRouter()
    router.register_model("m", variants=[Variant("a", Device.CPU)])
    series: dict[tuple[Metric[Any], tuple[str, ...]], Total] = {}

    def new_series(metric: Metric[Any], labels: tuple[str, ...]) -> Total:
        return series.setdefault((metric, labels), Total())

    writer = MetricsWriter(router, "m_0", 0.001, new_series)
    writer.start()
    for _ in range(5):
        router.dispatch("m", RoutingContext()).next_attempt().succeeded(2.0)
    writer.close()
    values = {metric.name: total.value for (metric, labels), total in series.items() if "success" in labels}
    assert values["model_router_requests_total"] == 5.0
    assert any(metric.kind is Kind.GAUGE for metric, _ in series)
    assert not any(total.value for (metric, _), total in series.items() if metric.kind is Kind.GAUGE)
