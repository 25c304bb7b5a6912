"""The names follow Prometheus' rules, and both forms of the metrics have the same values."""

import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.telemetry.metrics import LE_SECONDS, METRICS, Kind, Metric, samples

BASE_UNITS = ("seconds", "bytes", "ratio", "watts")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_keeps_to_the_rules(metric: Metric) -> None:
    assert re.fullmatch("model_router_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not re.search("_(ms|us|milliseconds|percent|mb)(_|$)", metric.name)
    assert metric.help.endswith(".")
    assert len(set(metric.labels)) == len(metric.labels)
    assert "le" not in metric.labels


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_unit_is_a_base_unit_at_the_end_of_the_name(metric: Metric) -> None:
    name = metric.name.removesuffix("_total")
    units = [unit for unit in BASE_UNITS if name.endswith(f"_{unit}")]
    assert units == ([metric.unit] if metric.unit else [])


def test_every_name_is_unique() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.fixture
def router() -> ModelRouter:
    """Return a router that has answered 4 requests in 4 ms each, failed one, and released one."""
    router = ModelRouter(clock=lambda: 0.0)
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
    only_gpu = RoutingContext(allowed_variants=frozenset({"m_gpu"}), max_latency_ms=3.0)
    for _ in range(4):
        router.record_execution(router.route_request("m", only_gpu), latency_ms=4.0)
    router.record_execution(router.route_request("m", only_gpu), error=Fault.ERROR)
    router.record_execution(router.route_request("m", only_gpu))
    return router


def values(router: ModelRouter) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(s.metric.name, s.labels): s.value for s in samples(router.get_metrics(), "m_0")}


def test_every_end_of_a_request_is_counted_by_variant_policy_device_and_outcome(router: ModelRouter) -> None:
    found = values(router)
    counts = {
        outcome: found["model_router_requests_total", ("m", "m_gpu", "gpu", "latency", outcome)]
        for outcome in ("success", "failure", "ignored")
    }
    assert counts == {"success": 4, "failure": 1, "ignored": 1}
    assert found["model_router_faults_total", ("m", "m_gpu", "gpu", "error")] == 1
    assert found["model_router_deadline_misses_total", ("m", "m_gpu", "gpu")] == 4


def test_latencies_are_counted_cumulatively_in_seconds(router: ModelRouter) -> None:
    found = values(router)
    counts = [found["model_router_requests_within_total", ("m", "m_gpu", "gpu", le)] for le in LE_SECONDS]
    assert LE_SECONDS[:4] == ("0.001", "0.0025", "0.005", "0.01")
    assert LE_SECONDS[-1] == "+Inf"
    assert counts == [0, 0] + [4] * (len(LE_SECONDS) - 2)
    assert found["model_router_request_duration_seconds_total", ("m", "m_gpu", "gpu")] == pytest.approx(0.016)


def test_exactly_one_state_of_the_breaker_is_set(router: ModelRouter) -> None:
    states = {
        labels[1:]: value
        for (name, labels), value in values(router).items()
        if name.endswith("breaker_state") and labels[1] == "m_gpu"
    }
    assert sorted(states.values()) == [0.0, 0.0, 1.0]
    assert {labels[-1] for labels in states} == {"closed", "open", "half-open"}


def test_every_sample_has_a_value_for_each_label_of_its_metric(router: ModelRouter) -> None:
    for sample in samples(router.get_metrics(), "m_0"):
        assert len(sample.labels) == len(sample.metric.labels), sample


def test_the_text_is_valid_openmetrics_with_the_same_values(router: ModelRouter) -> None:
    text = router.export_prometheus_metrics()
    shown = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    own = {
        (s.metric.name, frozenset(zip(s.metric.labels, s.labels, strict=True))): s.value
        for s in samples(router.get_metrics(), "in_process")
    }
    assert shown == own
    assert len(own) > 50


def test_the_text_states_the_unit_of_each_metric_that_has_one(router: ModelRouter) -> None:
    families = text_string_to_metric_families(router.export_prometheus_metrics())
    shown = {family.name: family.unit for family in families}
    own = {metric.name.removesuffix("_total"): metric.unit for metric in METRICS}
    assert shown == {name: own[name] for name in shown}
    assert "seconds" in shown.values()
