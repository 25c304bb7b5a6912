"""The command lines of the compose file, run without containers: Triton, and Debian's Prometheus."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from router_backend.core.telemetry.metrics import METRICS, Kind, Metric
from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from router_tools.emulation.repository import write_repository
from router_tools.errors import ToolError
from router_tools.prometheus import PrometheusPrograms, PrometheusServer, obtain_prometheus
from tests import compose
from tests.integration.client import Client, items, until
from tests.unit.router_tools.simulator.builders import three_devices

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def router_host() -> RouterHost:
    return RouterHost.best()  # these tests are not about the router


# Settings that a test must change: ports and the model repository.
MAPPED = ("model-repository", "http-port", "grpc-port", "metrics-port")
TRITON_EXPRESSIONS = [expression for expression in compose.dashboard_expressions() if "nv_" in expression]
# Experiments have series only while one runs.
ROUTER_EXPRESSIONS = [
    expression
    for expression in compose.dashboard_expressions()
    if expression not in TRITON_EXPRESSIONS and "experiment" not in expression
]
# Values of the labels that expressions distinguish; every other label has one value.
VALUES = {
    "outcome": ("success", "failure", "refused", "succeeded", "failed"),
    "fault": ("error", "overdue"),
    "basis": ("measured", "prior", "guess"),
    "state": ("closed", "open", "half-open"),
    "le_seconds": ("0.01", "0.1", "+Inf"),
}
# The value with which an alert fires, if it is not 1.
GAUGES = {"model_router_variant_ready": 0, "model_router_utilization_ratio": 2}
STEPS = 400


@pytest.fixture(scope="module")
def programs() -> PrometheusPrograms:
    return obtain_prometheus()


@pytest.fixture(scope="module")
def triton(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    repository = tmp_path_factory.mktemp("monitored") / "repository"
    write_repository(repository, three_devices(), {"routed": {}}, largest_batch=8)
    flags = compose.flags("triton")
    rest = [f"--{name}={value}" for name, value in flags.items() if name not in MAPPED]
    return triton_server(repository, extra_arguments=rest)


def configured_for(target: str, folder: Path) -> Path:
    """Write the prometheus.yml of the compose file with another target, and its rules."""
    text = (compose.PROMETHEUS / "prometheus.yml").read_text()
    scraped = f"triton:{compose.flags('triton')['metrics-port']}"
    assert text.count(scraped) == 1
    config = folder / "prometheus.yml"
    config.write_text(text.replace(scraped, target))
    (folder / "alerts.yml").write_text((compose.PROMETHEUS / "alerts.yml").read_text())
    return config


@pytest.fixture(scope="module")
def prometheus(
    programs: PrometheusPrograms, triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusServer]:
    config = configured_for(urlsplit(triton.metrics_url).netloc, tmp_path_factory.mktemp("prometheus"))
    with PrometheusServer(programs, config) as server, closing(Client(triton)) as client:
        for _ in range(4):
            client.ask("routed", items(1))
        yield server


def test_prometheus_scrapes_triton_by_the_compose_files_config(prometheus: PrometheusServer) -> None:
    until(lambda: [target["health"] for target in prometheus.targets()] in (["up"], ["down"]))
    (target,) = prometheus.targets()
    assert target["health"] == "up", target["lastError"]


@pytest.mark.parametrize("expression", TRITON_EXPRESSIONS)
def test_a_panel_of_tritons_metrics_has_data(prometheus: PrometheusServer, expression: str) -> None:
    until(lambda: bool(prometheus.query(expression)))


@pytest.mark.parametrize("expression", ROUTER_EXPRESSIONS)
def test_a_panel_of_the_routers_metrics_has_data(prometheus: PrometheusServer, expression: str) -> None:
    until(lambda: bool(prometheus.query(expression)))


def test_prometheus_evaluates_every_expression_of_the_dashboard(prometheus: PrometheusServer) -> None:
    for expression in compose.dashboard_expressions():
        prometheus.query(expression)


def test_prometheus_evaluates_every_alert_and_none_fires_on_a_healthy_server(
    prometheus: PrometheusServer,
) -> None:
    until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()))
    assert {rule["name"]: rule["health"] for rule in prometheus.rules()} == dict.fromkeys(
        compose.alerts(), "ok"
    )
    assert [rule["name"] for rule in prometheus.rules() if rule["state"] == "firing"] == []


def series(metric: Metric) -> Iterator[dict[str, str]]:
    """Return a metric with all combinations of its label values, in promtool's format."""
    first = GAUGES.get(metric.name, 1)
    values = f"0+1x{STEPS}" if metric.kind is Kind.COUNTER else f"{first}x{STEPS}"
    for combination in product(*(VALUES.get(label, (f"a_{label}",)) for label in metric.labels)):
        labels = ", ".join(
            f'{label}="{value}"' for label, value in zip(metric.labels, combination, strict=True)
        )
        yield {"series": f"{metric.name}{{{labels}}}", "values": values}


def has_data(programs: PrometheusPrograms, folder: Path, expression: str) -> subprocess.CompletedProcess[str]:
    """Return promtool's output for a test that the expression has data if all metrics of the router have."""
    fed = [one for metric in METRICS for one in series(metric)]
    fed.append({"series": 'up{job="triton", instance="a"}', "values": f"0x{STEPS}"})
    fed += [
        {"series": f'nv_inference_request_{outcome}{{model="m", version="1"}}', "values": f"0+1x{STEPS}"}
        for outcome in ("success", "failure")
    ]
    asked = {
        "expr": f"count({expression}) > bool 0",
        "eval_time": "30m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    test = {"interval": "5s", "input_series": fed, "promql_expr_test": [asked]}
    rules = str(compose.PROMETHEUS / "alerts.yml")
    file = folder / "tests.yml"
    file.write_text(json.dumps({"rule_files": [rules], "evaluation_interval": "5s", "tests": [test]}))
    return subprocess.run(
        [programs.promtool, "test", "rules", file], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("number", range(len(compose.dashboard_expressions())))
def test_a_panel_has_data_if_its_metrics_have(
    programs: PrometheusPrograms, tmp_path: Path, number: int
) -> None:
    done = has_data(programs, tmp_path, compose.dashboard_expressions()[number])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", compose.alerts())
def test_an_alert_fires_if_its_condition_persists(
    programs: PrometheusPrograms, tmp_path: Path, alert: str
) -> None:
    done = has_data(programs, tmp_path, f'ALERTS{{alertname="{alert}", alertstate="firing"}}')
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_reports_missing_data(programs: PrometheusPrograms, tmp_path: Path) -> None:
    assert has_data(programs, tmp_path, "model_router_no_such_metric").returncode != 0


@pytest.mark.parametrize("kind", ["config", "rules"])
def test_promtool_accepts_the_files_of_prometheus(programs: PrometheusPrograms, kind: str) -> None:
    file = {"config": "prometheus.yml", "rules": "alerts.yml"}[kind]
    subprocess.run([programs.promtool, "check", kind, compose.PROMETHEUS / file], check=True)


def test_prometheus_answers_its_health_check(prometheus: PrometheusServer) -> None:
    url = compose.services()["prometheus"]["healthcheck"]["test"][-1]
    assert url.startswith("http://localhost:9090/")
    assert urllib3.request("GET", url.replace("http://localhost:9090", prometheus.url)).status == 200


def test_an_invalid_prometheus_configuration_is_reported_with_the_reason(
    programs: PrometheusPrograms, tmp_path: Path
) -> None:
    config = tmp_path / "wrong.yml"
    config.write_text("scrapes: []\n")
    with pytest.raises(ToolError, match=r"did not start with .*wrong\.yml; .*field scrapes not found"):
        PrometheusServer(programs, config).__enter__()
