"""The compose file and what it mounts, for the tests."""

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from router_backend.core.telemetry.metrics import METRICS
from tests.documents import CHECKOUT

COMPOSE = CHECKOUT / "docker-compose.yml"
MONITORING = CHECKOUT / "monitoring"
PROMETHEUS = MONITORING / "prometheus"
DASHBOARD = MONITORING / "grafana" / "dashboards" / "model_router.json"
ROUTER_METRICS = frozenset(metric.name for metric in METRICS)


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def services() -> dict[str, Any]:
    """The services of the compose file, anchors merged."""
    found: dict[str, Any] = read_yaml(COMPOSE)["services"]
    return found


def flags(service: str) -> dict[str, str]:
    """The flags of a service's command, `--backend-config=a,b=c` under `backend-config`."""
    given = [argument for argument in services()[service]["command"] if argument.startswith("--")]
    return dict(argument.removeprefix("--").split("=", 1) for argument in given)


def published(service: str) -> dict[str, str]:
    """By port in the container, where it can be reached."""
    ports = [str(port).rpartition(":") for port in services()[service].get("ports", [])]
    return {inside: outside for outside, _, inside in ports}


def mounts(service: str) -> dict[str, str]:
    """By place in the container, what of the checkout or which volume is there."""
    return {target: source for source, target, *_ in (v.split(":") for v in services()[service]["volumes"])}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def dashboard_expressions() -> list[str]:
    """What the dashboard asks Prometheus for, its variables filled in."""
    return [
        target["expr"].replace("$__rate_interval", "20s").replace("$model", ".*")
        for panel in dashboard()["panels"]
        for target in panel["targets"]
    ]


def alerts() -> dict[str, str]:
    """The expression of each alert."""
    (group,) = read_yaml(PROMETHEUS / "alerts.yml")["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}
