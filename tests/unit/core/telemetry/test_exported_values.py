"""Exported values: each value here is known, and not 0."""

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from router_backend import Device, ModelRouter, RoutingContext, Variant


class Clock:
    """Advances by a millisecond each time that it is read."""

    now_s = 1000.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def router(clock: Clock) -> ModelRouter:
    """Return a router whose only variant first takes 4 ms and then 40 ms."""
    router = ModelRouter(clock=clock)
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU)])
    for latency_ms in (*[4.0] * 50, *[40.0] * 10):
        decision = router.route_request("m", RoutingContext())
        clock.now_s += latency_ms / 1e3
        router.record_execution(decision, latency_ms=latency_ms)
    return router


def exported(router: ModelRouter) -> dict[str, float]:
    """Return the values by name; the last one of those with several sets of labels."""

    def values() -> Iterator[tuple[str, float]]:
        for family in text_string_to_metric_families(router.export_prometheus_metrics()):
            yield from ((sample.name, sample.value) for sample in family.samples)

    return dict(values())


def test_a_service_time_that_changed_is_exported_as_a_drift_alarm(router: ModelRouter) -> None:
    alarms = router.get_metrics().get_model_metrics("m").variants["m_gpu"].drift_alarms
    assert alarms >= 1
    assert exported(router)["model_router_drift_alarms_total"] == alarms


def test_the_utilization_of_a_variant_that_served_recently_is_exported(router: ModelRouter) -> None:
    utilization = router.get_metrics().get_model_metrics("m").variants["m_gpu"].utilization
    assert 0.1 < utilization < 0.5
    assert exported(router)["model_router_utilization_ratio"] == pytest.approx(utilization, rel=0.01)


def test_the_time_that_decisions_took_is_exported_in_seconds(router: ModelRouter) -> None:
    metrics = router.get_metrics().get_model_metrics("m")
    assert metrics.counts.decisions == 60
    assert 60 * 0.001 < metrics.counts.decision_s < 60 * 0.005, "a few readings of the clock for each"
    assert metrics.avg_decision_us == pytest.approx(metrics.counts.decision_s / 60 * 1e6)
    values = exported(router)
    assert values["model_router_decisions_total"] == 60
    assert values["model_router_decision_duration_seconds_total"] == pytest.approx(metrics.counts.decision_s)
