"""The forwarding model of docs/operate/remote.md, between two servers."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from tests.documents import REMOTE, examples
from tests.integration.client import Client, items, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def router_host() -> RouterHost:
    return RouterHost.best()  # these tests are not about the router


URL = "mac-mini.local:8081"
NOBODY = "127.0.0.1:1"


@dataclass
class Site:
    """A server with a router, and the server that one of its variants forwards to."""

    client: Client
    server: EmbeddedTriton
    node: EmbeddedTriton
    node_folder: Path


def add_forwarding(folder: Path, url: str, model: str = "resnet50") -> None:
    """Write the model of the page, with the address of the other server and the model's name there."""
    (config,) = examples("protobuf remote")
    (code,) = examples("python remote")
    assert config.document == code.document == REMOTE
    assert URL in config.text
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config.text.replace(URL, url).replace('"resnet50"', f'"{model}"'))
    (folder / "1" / "model.py").write_text(code.text)


@pytest.fixture(scope="module")
def site(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    node_models = ModelRepository(tmp_path_factory.mktemp("node"))
    node_models.variant("resnet50", "scaling", factor=2)
    node_models.variant("strict", "refusing", refuses="negatives", message="no", code="INVALID_ARG")
    node = triton_server(node_models.folder)
    repository = ModelRepository(tmp_path_factory.mktemp("here"))
    add_forwarding(repository.folder / "resnet50_mac", node.grpc_url)
    add_forwarding(repository.folder / "resnet50_away", NOBODY)
    add_forwarding(repository.folder / "strict_mac", node.grpc_url, "strict")
    repository.router("strict", "strict_mac")
    repository.variant("resnet50_cpu", "scaling", factor=3, delay_ms=50)
    repository.router("resnet50", "resnet50_mac, resnet50_away, resnet50_cpu")
    server = triton_server(repository.folder, exit_on_error=False)
    with closing(Client(server)) as client:
        yield Site(client, server, node, node_models.folder)


def chosen(site: Site) -> str:
    return str(site.client.decision("resnet50", items(1))["variant"])


def test_the_variant_of_an_unreachable_machine_is_unavailable_with_the_reason(site: Site) -> None:
    reasons = {model.name: model.reason for model in site.server.models()}
    assert f"{NOBODY} does not answer: " in reasons["resnet50_away"]


def test_a_variant_on_another_machine_answers_and_is_preferred_while_it_is_faster(site: Site) -> None:
    until(lambda: chosen(site) == "resnet50_mac")
    until(lambda: site.client.output("resnet50", items(5))[0, 0] == 10.0)  # some requests try the other one
    until(lambda: site.client.decision("resnet50", items(1))["device"] == "neural_engine")


def test_the_other_machines_error_about_an_invalid_request_reaches_the_client(site: Site) -> None:
    expected = ("INVALID_ARGUMENT", f"INVALID_ARG: {site.node.grpc_url}: no")
    assert site.client.refusal("strict", items(-1)) == expected


def test_requests_are_answered_while_the_other_machine_is_down_and_by_it_when_it_is_back(
    site: Site, triton_server: Callable[..., EmbeddedTriton]
) -> None:
    until(lambda: chosen(site) == "resnet50_mac")
    port = int(site.node.grpc_url.rpartition(":")[2])
    site.node.stop()
    for _ in range(5):
        assert site.client.output("resnet50", items(5))[0, 0] == 15.0
    triton_server(site.node_folder, grpc_port=port)
    until(lambda: chosen(site) == "resnet50_mac")
