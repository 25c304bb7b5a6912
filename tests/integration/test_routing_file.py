"""Several routers apply one routing configuration, and its changes, while they serve."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, items, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

VARIANTS = "double, triple"
RELOADS = r'model_router_config_reloads_total\{{model="{model}",outcome="{outcome}"\}} (\d+)'


def rule(pattern: str, variant: str, **more: Any) -> dict[str, Any]:
    """Return a rule that sends requests to one variant."""
    return {"model_name_pattern": pattern, "policy": {"name": f"static:{variant}"}, **more}


def routing(*rules: dict[str, Any], **more: Any) -> str:
    """Return the text of a routing configuration."""
    return json.dumps({"routing_rules": rules, **more})


@dataclass(frozen=True, slots=True)
class Site:
    """A server, its repository and its log."""

    server: EmbeddedTriton
    repository: Path
    log_file: Path

    def write(self, name: str, text: str) -> None:
        """Replace the routing configuration atomically."""
        (self.repository / "new").write_text(text)
        (self.repository / "new").rename(self.repository / name)

    def reloads(self, model: str, outcome: str) -> int:
        """Return how many changes a router has counted, from Triton's metrics."""
        counted = re.search(RELOADS.format(model=model, outcome=outcome), metrics_of(self))
        return 0 if counted is None else int(counted[1])

    def log_lines(self, text: str) -> list[str]:
        """Return the lines of the server's log that contain a text."""
        return [line for line in self.log_file.read_text().splitlines() if text in line]


def metrics_of(site: Site) -> str:
    """Return Triton's metrics."""
    with urllib.request.urlopen(site.server.metrics_url) as page:
        return page.read().decode()


@pytest.fixture(scope="module")
def site(triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("routing_file")
    repository = ModelRepository(folder / "models")
    repository.variant("double", "scaling", factor=2)
    repository.variant("triple", "scaling", factor=3, device="gpu")
    texts = {
        "shared": routing(
            rule("resnet*", "double"), rule("bert", "triple", max_latency_ms=5000), rule("vgg*", "double")
        ),
        "edited": routing(rule("edited", "double")),
        "broken": routing(rule("broken", "double")),
        "tried": routing(rule("tried", "double")),
        "deleted": routing(rule("deleted", "double")),
    }
    for name, text in texts.items():
        (repository.folder / f"{name}.json").write_text(text)
        repository.router(name, VARIANTS, routing_config=f"../{name}.json")
    for name in ("resnet50", "bert"):
        repository.router(name, VARIANTS, routing_config="../shared.json")
    repository.router("resnet_own", VARIANTS, routing_config="../shared.json", policy="static:triple")
    repository.ensemble("pipeline", step="resnet50")
    for number, variant in enumerate(("double", "triple")):  # as Kubernetes mounts a ConfigMap
        version = repository.folder.parent / f"version_{number}"
        version.mkdir()
        (version / "routing.json").write_text(routing(rule("linked", variant)))
    (folder / "current").symlink_to("version_0")
    repository.router("linked", VARIANTS, routing_config=str(folder / "current" / "routing.json"))
    repository.router("lost", VARIANTS, routing_config="../nowhere.json")
    (repository.folder / "misspelt.json").write_text(routing(rule("vgg", "double"), rule("mis*", "tripel")))
    repository.router("misspelt", VARIANTS, routing_config="../misspelt.json")
    log_file = folder / "server.log"
    return Site(triton_server(repository.folder, log_file=log_file), repository.folder, log_file)


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with closing(Client(site.server)) as client:
        yield client


def factor(client: Client, model: str) -> int:
    """Return which variant answers: 2 or 3."""
    return int(client.output(model, items(1))[0, 0])


def test_each_router_follows_the_rule_for_its_name_in_the_file_that_they_share(client: Client) -> None:
    assert [factor(client, model) for model in ("resnet50", "bert")] == [2, 3]


def test_settings_of_a_router_override_the_rule_for_it(client: Client) -> None:
    assert factor(client, "resnet_own") == 3


def test_settings_of_a_request_override_all_others(client: Client) -> None:
    for model in ("resnet50", "resnet_own"):
        for variant, expected in (("double", 2), ("triple", 3)):
            options = {"parameters": {"router_policy": f"static:{variant}"}}
            assert client.output(model, items(1), **options)[0, 0] == expected


def test_an_ensemble_whose_step_is_a_router_follows_the_rule(client: Client) -> None:
    before = triton_grpc.InferInput("BEFORE", [3, 4], "FP32")
    before.set_data_from_numpy(items(5, batch_size=3))
    for _ in range(5):
        answer = client.grpc.infer("pipeline", [before])
        np.testing.assert_array_equal(answer.as_numpy("AFTER"), items(10, batch_size=3))


def test_an_edit_is_applied_without_a_restart(client: Client, site: Site) -> None:
    assert factor(client, "edited") == 2
    site.write("edited.json", routing(rule("edited", "triple")))
    until(lambda: factor(client, "edited") == 3)
    until(lambda: site.reloads("edited", "accepted") == 1)
    assert site.reloads("edited", "refused") == 0
    until(lambda: len(site.log_lines("model 'edited' has applied the change of ")) == 1)


def test_an_experiment_is_started_and_stopped_by_an_edit(client: Client, site: Site) -> None:
    arms = {"control": {"name": "static:double"}, "treatment": {"name": "static:triple"}}
    experiment = {"experiment_id": "v2", **arms, "fraction": 1}
    site.write("tried.json", routing(rule("tried", "double"), experiments=[experiment]))
    until(lambda: factor(client, "tried") == 3)
    site.write("tried.json", routing(rule("tried", "double")))
    until(lambda: factor(client, "tried") == 2)


def test_a_link_that_points_to_another_file_is_an_edit(client: Client, site: Site) -> None:
    assert factor(client, "linked") == 2
    folder = site.repository.parent
    (folder / "next").symlink_to("version_1")
    (folder / "next").rename(folder / "current")
    until(lambda: factor(client, "linked") == 3)


def test_an_invalid_edit_is_logged_once_and_changes_nothing_until_it_is_fixed(
    client: Client, site: Site
) -> None:
    site.write("broken.json", routing(rule("broken", "triple", max_latency_ms=-1)))
    reason = (
        f"model 'broken' keeps the settings that it had: {site.repository}/broken.json: "
        f"routing_rules[0].max_latency_ms: expected a number of milliseconds above 0, found -1; leave it out"
    )
    until(lambda: site.reloads("broken", "refused") == 1)
    assert factor(client, "broken") == 2
    site.write("broken.json", routing(rule("broken", "tripel")))
    until(lambda: site.reloads("broken", "refused") == 2)
    assert factor(client, "broken") == 2
    site.write("broken.json", routing(rule("broken", "triple")))
    until(lambda: factor(client, "broken") == 3)
    until(lambda: site.reloads("broken", "accepted") == 1)
    assert site.reloads("broken", "refused") == 2
    assert len(site.log_lines(reason)) == 1
    misspelt = (
        f"{site.repository}/broken.json, model 'broken', policy 'static': routing_rules[0].policy: expected "
        f"'static:' and one of double, triple, found 'static:tripel'"
    )
    assert len(site.log_lines(misspelt)) == 1


def test_a_missing_file_changes_nothing_until_it_is_back(client: Client, site: Site) -> None:
    (site.repository / "deleted.json").unlink()
    until(lambda: site.reloads("deleted", "refused") == 1)
    assert factor(client, "deleted") == 2
    (site.repository / "deleted.json").write_text(routing(rule("deleted", "triple")))
    until(lambda: factor(client, "deleted") == 3)


def test_a_file_that_is_missing_at_load_makes_the_router_unavailable_with_the_reason(site: Site) -> None:
    reasons = {model.name: model.reason for model in site.server.models()}
    expected = f"{site.repository}/nowhere.json: expected a routing configuration, found no such file"
    assert expected in reasons["lost"]


def test_a_policy_that_is_invalid_at_load_is_reported_with_file_and_rule(site: Site) -> None:
    reasons = {model.name: model.reason for model in site.server.models()}
    place = f"{site.repository}/misspelt.json, model 'misspelt', policy 'static': routing_rules[1].policy: "
    assert place in reasons["misspelt"]


def test_a_pattern_that_matches_no_model_is_logged_at_load(site: Site) -> None:
    (line, *_) = site.log_lines("the pattern '")
    expected = f"{site.repository}/shared.json: the pattern 'vgg*' matches no model of the repository"
    assert expected in line


def test_without_an_edit_nothing_is_applied(site: Site) -> None:
    until(lambda: "model_router_config_age_seconds" in metrics_of(site))
    assert site.reloads("resnet50", "accepted") == site.reloads("resnet50", "refused") == 0
