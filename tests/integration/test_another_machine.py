"""Variants that forward to another server, as docs/operate/remote.md describes them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from tests.documents import REMOTE, examples
from tests.integration.client import Client, items, state_of, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

URL = "mac-mini.local:8081"
NOBODY = "127.0.0.1:1"
TLS = Path(__file__).parent / "tls"
CERTIFICATE, KEY = TLS / "certificate.pem", TLS / "key.pem"
BOTH_OUTPUTS = {
    "dims: 4 }\ninstance": 'dims: 4 }\noutput { name: "RECEIVED" data_type: TYPE_STRING dims: 1 }\ninstance'
}
BACK_WITHIN_S = 10.0
"""On a busy machine; how long it takes on a quiet one is measured by a benchmark."""


@pytest.fixture(scope="module")
def router_host() -> RouterHost:
    return RouterHost.best()  # these tests are not about the router


@dataclass
class Site:
    """A server with routers, and the server that some of its variants forward to."""

    client: Client
    server: EmbeddedTriton
    node: EmbeddedTriton
    node_models: ModelRepository


def add_example(folder: Path, url: str) -> None:
    """Write the model of the page, with the address of the other server."""
    (config,) = examples("protobuf remote")
    (code,) = examples("python remote")
    assert config.document == code.document == REMOTE
    assert URL in config.text
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config.text.replace(URL, url))
    (folder / "1" / "model.py").write_text(code.text)


@pytest.fixture(scope="module")
def site(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    there = ModelRepository(tmp_path_factory.mktemp("node"))
    there.variant("resnet50", "scaling", factor=2)
    there.variant("strict", "refusing", refuses="negatives", message="no", code="INVALID_ARG")
    there.variant("recorder", "recording")
    there.variant("slow", "scaling", factor=2, delay_ms=2000)
    node = triton_server(there.folder)
    here = ModelRepository(tmp_path_factory.mktemp("here"))
    add_example(here.folder / "resnet50_mac", node.grpc_url)
    here.variant("resnet50_away", "remote", url=NOBODY, model="resnet50")
    here.variant("resnet50_cpu", "scaling", factor=3, delay_ms=50)
    here.router("resnet50", "resnet50_mac, resnet50_away, resnet50_cpu")
    for protocol, url in (("grpc", node.grpc_url), ("http", node.http_url)):
        here.variant(f"strict_{protocol}", "remote", url=url, protocol=protocol, model="strict")
        recorder = {"protocol": protocol, "model": "recorder", "header.x-who": "me"}
        here.variant(f"recorder_{protocol}", "remote", BOTH_OUTPUTS, url=url, **recorder)
        impatient = {"protocol": protocol, "model": "slow", "answer_within_ms": "100"}
        here.variant(f"impatient_{protocol}", "remote", url=url, **impatient)
        here.router(f"strict_router_{protocol}", f"strict_{protocol}")
    here.variant("other_name", "remote", {'"OUTPUT"': '"OTHER"'}, url=node.grpc_url, model="resnet50")
    here.variant(
        "other_type", "remote", {"FP32": "INT32"}, url=node.http_url, model="resnet50", protocol="http"
    )
    here.variant("other_dims", "remote", {"dims: 4": "dims: 5"}, url=node.grpc_url, model="resnet50")
    here.variant("no_model", "remote", url=node.grpc_url, model="nowhere")
    here.variant("no_url", "remote")
    here.variant("no_file", "remote", url=NOBODY, tls="true", tls_ca_file="/nowhere.pem")
    here.variant("no_certificate", "remote", url=NOBODY, tls="true", tls_ca_file=str(KEY))
    server = triton_server(here.folder, exit_on_error=False, model_control_mode="explicit", **LOAD_ALL)
    with closing(Client(server)) as client:
        yield Site(client, server, node, there)


LOAD_ALL = {"extra_arguments": ["--load-model=*"]}


def chosen(site: Site) -> str:
    return str(site.client.decision("resnet50", items(1))["variant"])


class TestAway:
    def test_the_variant_of_a_machine_that_is_away_is_loaded_and_refuses(self, site: Site) -> None:
        assert state_of(site.client, "resnet50_away") == "READY"
        refusal = site.client.refusal("resnet50_away", items(1))
        assert refusal.status == "UNAVAILABLE"
        assert refusal.message.startswith(f"UNAVAILABLE: {NOBODY} is away: ")
        assert site.server.log_text().count(f"model 'resnet50_away': {NOBODY} is away: ") == 1

    @pytest.mark.parametrize(
        ("model", "reason"),
        [
            ("other_name", "output 'OTHER': expected a tensor of the model there, found none of that name"),
            ("other_type", "input 'INPUT': expected FP32, as the model there, found INT32: write the same"),
            ("other_dims", "input 'INPUT': expected the shape [-1, 4] of the model there, found [-1, 5]"),
            ("no_model", "the model is not loaded there"),
        ],
    )
    def test_another_model_there_counts_as_away(self, site: Site, model: str, reason: str) -> None:
        away = [line for line in site.server.log_text().splitlines() if f"model '{model}': " in line]
        assert len(away) == 1
        assert f" is away: {reason}" in away[0].replace("config.pbtxt, ", "")

    def test_its_requests_are_refused(self, site: Site) -> None:
        assert "is away: the model is not loaded" in site.client.refusal("no_model", items(1)).message


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("no_url", "expected the key 'url' (text)"),
        ("no_file", "tls_ca_file: expected the path of a file, found no such file at '/nowhere.pem'"),
        ("no_certificate", "tls: expected certificates and a key in PEM format that belong together"),
    ],
)
def test_what_is_wrong_here_is_refused_at_load(site: Site, model: str, reason: str) -> None:
    reasons = {each.name: each.reason for each in site.server.models()}
    assert reason in reasons[model]


def test_a_variant_on_another_machine_answers_and_is_preferred_while_it_is_faster(site: Site) -> None:
    until(lambda: chosen(site) == "resnet50_mac")
    until(lambda: site.client.output("resnet50", items(5))[0, 0] == 10.0)  # some requests try the other one
    until(lambda: site.client.decision("resnet50", items(1))["device"] == "neural_engine")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
class TestEachProtocol:
    def test_an_error_about_an_invalid_request_reaches_the_client(self, site: Site, protocol: str) -> None:
        url = {"grpc": site.node.grpc_url, "http": site.node.http_url}[protocol]
        expected = ("INVALID_ARGUMENT", f"INVALID_ARG: {url}: no")
        assert site.client.refusal(f"strict_router_{protocol}", items(-1)) == expected
        assert site.client.output(f"strict_router_{protocol}", items(1)).tolist() == items(1).tolist()

    def test_everything_that_a_request_carries_is_passed_on(self, site: Site, protocol: str) -> None:
        carried = {
            "request_id": "mine",
            "parameters": {"text": "ü", "number": 3, "fraction": 0.5, "flag": True},
        }
        answer = site.client.ask(f"recorder_{protocol}", items(4, batch_size=3), **carried)
        np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), items(4, batch_size=3))
        received = json.loads(answer.as_numpy("RECEIVED")[2, 0])
        assert {key: received[key] for key in carried} == carried

    def test_only_the_outputs_that_are_asked_for_are_sent(self, site: Site, protocol: str) -> None:
        wanted = [triton_grpc.InferRequestedOutput("RECEIVED")]
        answer = site.client.ask(f"recorder_{protocol}", items(1), outputs=wanted)
        assert answer.as_numpy("OUTPUT") is None

    def test_many_requests_are_in_flight_at_once(self, site: Site, protocol: str) -> None:
        calls = [site.client.submit(f"recorder_{protocol}", items(value)) for value in range(50)]
        answers = [call.answer.result().as_numpy("OUTPUT")[0, 0] for call in calls]
        assert answers == list(range(50))

    def test_a_call_that_takes_too_long_ends(self, site: Site, protocol: str) -> None:
        began_s = time.monotonic()
        refusal = site.client.refusal(f"impatient_{protocol}", items(1))
        assert time.monotonic() - began_s < 1.9
        assert refusal.status == "UNAVAILABLE"


def test_a_sequence_is_passed_on(site: Site) -> None:
    options = {"sequence_id": 7, "sequence_start": True, "sequence_end": True}
    received = json.loads(site.client.ask("recorder_grpc", items(1), **options).as_numpy("RECEIVED")[0, 0])
    assert (received["correlation_id"], received["flags"]) == (7, 3)


def test_requests_are_answered_while_the_other_machine_is_down_and_by_it_when_it_is_back(
    site: Site, triton_server: Callable[..., EmbeddedTriton]
) -> None:
    until(lambda: chosen(site) == "resnet50_mac")
    grpc_port, http_port = (int(url.rpartition(":")[2]) for url in (site.node.grpc_url, site.node.http_url))
    site.node.stop()
    for _ in range(20):
        assert site.client.output("resnet50", items(5))[0, 0] == 15.0
    site.node_models.variant("nowhere", "scaling", factor=2)
    triton_server(site.node_models.folder, grpc_port=grpc_port, http_port=http_port)
    until(lambda: chosen(site) == "resnet50_mac", timeout_s=BACK_WITHIN_S)
    for model in ("no_model", "strict_http", "recorder_grpc"):
        until(lambda: answers(site, model), timeout_s=BACK_WITHIN_S)  # noqa: B023 - called at once
    assert "is back" in site.server.log_text()


def answers(site: Site, model: str) -> bool:
    try:
        return site.client.output(model, items(1)).shape == (1, 4)
    except triton_grpc.InferenceServerException:
        return False


@pytest.fixture(scope="module")
def tls_client(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    there = ModelRepository(tmp_path_factory.mktemp("tls_node"))
    there.variant("double", "scaling", factor=2)
    certificate = [f"--grpc-server-cert={CERTIFICATE}", f"--grpc-server-key={KEY}"]
    node = triton_server(there.folder, extra_arguments=["--grpc-use-ssl=true", *certificate])
    here = ModelRepository(tmp_path_factory.mktemp("tls_here"))
    url = node.grpc_url.replace("127.0.0.1", "localhost")
    here.variant("trusted", "remote", url=url, model="double", tls="true", tls_ca_file=str(CERTIFICATE))
    here.variant("unknown", "remote", url=url, model="double", tls="true")
    here.variant("plain", "remote", url=url, model="double")
    with closing(Client(triton_server(here.folder))) as client:
        yield client


def test_a_server_is_trusted_by_its_certificate(tls_client: Client) -> None:
    assert tls_client.output("trusted", items(2)).tolist() == items(4).tolist()


@pytest.mark.parametrize("model", ["unknown", "plain"])
def test_a_server_that_is_not_trusted_is_away(tls_client: Client, model: str) -> None:
    assert " is away: " in tls_client.refusal(model, items(1)).message
