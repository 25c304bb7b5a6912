"""An experiment on the real server, from the routing configuration to the report and Triton's metrics."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from router_backend.core.experiments.assignment import UnitHash
from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, decision_of, items, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

UNITS = [f"user-{number}" for number in range(40)]
COUNTED = r"model_router_experiment_requests_total\{([^}]*)\} (\d+)"


@dataclass(frozen=True, slots=True)
class Site:
    """A server and its routing configuration."""

    server: EmbeddedTriton
    routing: Path

    def run(self, fraction: float | None) -> None:
        """Replace the routing configuration; `None` for no experiment."""
        (self.routing.parent / "new").write_text(routing(fraction))
        (self.routing.parent / "new").rename(self.routing)


def routing(fraction: float | None) -> str:
    """Return the text of a routing configuration."""
    experiment = {
        "experiment_id": "v2",
        "control": {"name": "static:double"},
        "treatment": {"name": "static:triple"},
        "fraction": fraction,
    }
    return json.dumps({"experiments": [] if fraction is None else [experiment]})


@pytest.fixture(scope="module")
def site(triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory) -> Site:
    repository = ModelRepository(tmp_path_factory.mktemp("experiments"))
    repository.variant("double", "scaling", factor=2)
    repository.variant("triple", "scaling", factor=3, device="gpu")
    file = repository.folder / "routing.json"
    file.write_text(routing(0.25))
    repository.router("scale", "double, triple", routing_config="../routing.json", metrics_interval_ms="100")
    return Site(triton_server(repository.folder), file)


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with closing(Client(site.server)) as client:
        yield client


def served_by(client: Client, unit: str) -> int:
    """Return which variant answers a request of a unit: 2 or 3."""
    answer = client.ask("scale", items(1), parameters={"router_sticky_key": unit})
    return int(answer.as_numpy("OUTPUT")[0, 0])


def report(client: Client) -> dict[str, Any]:
    """Return the router's report of its experiments."""
    answer = client.ask("scale", items(1), parameters={"router_report": True})
    return decision_of(answer)["experiments"]


def treated(fraction: float) -> list[str]:
    return [unit for unit in UNITS if UnitHash("v2").point(unit) < fraction]


def counted(site: Site) -> dict[str, int]:
    """Return the number of answers by arm, from Triton's metrics."""
    with urllib.request.urlopen(site.server.metrics_url) as page:
        found = re.findall(COUNTED, page.read().decode())
    labels = [(dict(re.findall(r'(\w+)="([^"]*)"', text)), int(count)) for text, count in found]
    return {of["arm"]: count for of, count in labels if of["outcome"] == "success"}


def test_a_request_that_names_a_policy_is_in_no_experiment(client: Client) -> None:
    parameters = {"router_policy": "static:double", "router_sticky_key": treated(0.25)[0]}
    answer = client.ask("scale", items(1), parameters=parameters)
    assert int(answer.as_numpy("OUTPUT")[0, 0]) == 2
    assert report(client)["v2"]["scale"]["control"]["answers"] == 0


def test_an_experiment_is_started_changed_read_and_stopped_while_the_server_runs(
    site: Site, client: Client
) -> None:
    few, many = treated(0.25), treated(0.75)
    asked = {"router_dry_run": True, "router_sticky_key": few[0]}
    told = decision_of(client.ask("scale", items(1), parameters=asked))
    assert (told["variant"], told["experiment"], told["arm"]) == ("triple", "v2", "treatment")
    assert [unit for unit in UNITS if served_by(client, unit) == 3] == few
    found = report(client)["v2"]["scale"]
    assert (found["fraction"], found["stopped_reason"], found["difference_ms"]) == (0.25, None, None)
    assert (found["control"]["answers"], found["treatment"]["answers"]) == (len(UNITS) - len(few), len(few))
    assert found["treatment"]["variant_shares"] == {"triple": 1.0}
    assert found["treatment"]["p99_latency_ms"] > 0.0
    until(lambda: counted(site) == {"control": len(UNITS) - len(few), "treatment": len(few)})

    site.run(0.75)
    until(lambda: report(client)["v2"]["scale"]["fraction"] == 0.75)
    assert [unit for unit in UNITS if served_by(client, unit) == 3] == many
    assert set(few) < set(many)
    assert report(client)["v2"]["scale"]["treatment"]["answers"] == len(few) + len(many)

    site.run(None)
    until(lambda: report(client) == {})
    told = client.decision("scale", items(1))
    assert (told["policy"], told["experiment"], told["arm"]) == ("latency", None, None)
