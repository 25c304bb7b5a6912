"""Run the examples of the documents that need a server."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from router_tools.demo.images import random_images
from router_tools.demo.repository import TEMPLATE, variant_names
from router_tools.embedded_triton import EmbeddedTriton
from router_tools.embedded_triton.command import server_environment
from router_tools.embedded_triton.wheel import find_wheel
from tests.documents import DOCS, README, Example, code_words, examples
from tests.integration.client import Client, items
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

# docker's, the router's, and common ones
NOT_OF_TRITON = {"--shm-size", "--supervise", "--seconds", "--tolerance-ms", "--help", "--"}


@dataclass(frozen=True, slots=True)
class Site:
    """A server with the models in the documents, and its repository."""

    server: EmbeddedTriton
    repository: Path


@pytest.fixture(scope="module")
def site(
    triton_server: Callable[..., EmbeddedTriton],
    tmp_path_factory: pytest.TempPathFactory,
    squeezenet_fp32: Path,
    squeezenet_int8: Path,
) -> Site:
    """The demo's SqueezeNet, and the routers of the examples in both forms, with their variants."""
    folder = tmp_path_factory.mktemp("documents")
    shutil.copytree(TEMPLATE / "squeezenet", folder / "models" / "squeezenet")
    ModelRepository(folder / "models").squeezenet_variants(squeezenet_fp32, squeezenet_int8)
    for example in examples("protobuf"):
        add_router(folder / "models", example)
    routing, *_ = examples("json routing")
    write(folder / "models" / "routing.json", routing.text)
    for example in examples("protobuf executor"):
        add_onnx_variant(folder / "models", example)
    server = triton_server(
        folder / "models", model_control_mode="explicit", extra_arguments=["--load-model=*"]
    )
    return Site(server, folder / "models")


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with closing(Client(site.server)) as client:
        yield client


def add_router(repository: Path, example: Example) -> None:
    """Add the router of an example in both forms, and tiny variants with the names in it."""
    for name in variants_of(example):
        if not (repository / name).exists():
            ModelRepository(repository).variant(name, "scaling", device="gpu" if "gpu" in name else "cpu")
    write(repository / routed(example) / "config.pbtxt", example.text)
    (repository / routed(example) / "1").mkdir()
    plain = example.text.replace('backend: "router_backend"', 'backend: "python"')
    write(repository / f"{routed(example)}_plain" / "config.pbtxt", plain)
    write(repository / f"{routed(example)}_plain" / "1" / "model.py", model_file("router_backend.model"))


def add_onnx_variant(repository: Path, example: Example) -> None:
    """Add the variant of an example, with SqueezeNet's file."""
    folder = repository / routed(example)
    write(folder / "config.pbtxt", example.text)
    write(folder / "1" / "model.py", model_file("router_backend.executors.onnx_runtime"))
    shutil.copy(repository / "squeezenet_cpu" / "1" / "model.onnx", folder / "1")


def routed(example: Example) -> str:
    """Return the name for the model of an example."""
    return f"{example.document.stem}_{example.line}"


def variants_of(example: Example) -> list[str]:
    """Return the names in the parameter `variants` of a router's configuration, without the devices."""
    config = text_format.Parse(example.text, model_config_pb2.ModelConfig())
    assert config.backend == "router_backend"
    named = config.parameters["variants"].string_value.split(",")
    return [name.partition("=")[0].strip() for name in named]


def model_file(imported_from: str) -> str:
    """Return the only example of a `model.py` that imports from this module."""
    (example,) = (each for each in examples("python model.py") if f"from {imported_from} " in each.text)
    return example.text


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("form", ["", "_plain"])
@pytest.mark.parametrize("example", examples("protobuf"), ids=str)
def test_a_router_that_is_shown_serves_with_its_variants_in_both_forms(
    client: Client, example: Example, form: str
) -> None:
    decision = client.decision(routed(example) + form, items(1))
    assert decision["variant"] in variants_of(example)
    assert [candidate["variant"] for candidate in decision["candidates"]] == variants_of(example)


@pytest.mark.parametrize("example", examples("protobuf executor"), ids=str)
def test_an_onnx_variant_that_is_shown_answers_as_that_of_the_demo(client: Client, example: Example) -> None:
    images = random_images(2, seed=0)
    tensor = triton_grpc.InferInput("images", images.shape, "FP32").set_data_from_numpy(images)
    answers = [
        client.grpc.infer(name, [tensor]).as_numpy("probabilities")
        for name in (routed(example), "squeezenet_cpu")
    ]
    np.testing.assert_allclose(*answers, rtol=1e-4)


def test_a_variant_that_is_shown_with_a_warm_up_is_loaded_with_it(client: Client) -> None:
    (example,) = (each for each in examples("protobuf executor") if "model_warmup" in each.text)
    config = client.grpc.get_model_config(routed(example), as_json=True)["config"]
    assert [warmup["name"] for warmup in config["model_warmup"]] == ["one image"]


def test_every_model_file_that_is_shown_is_served() -> None:
    assert len(examples("python model.py")) == len({"the router's plain form", "an ONNX variant"})


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("example", examples("sh"), ids=str)
class TestShell:
    @staticmethod
    def run(site: Site, example: Example) -> str:
        """Return what a shell example prints, with the ports of the server."""
        ports = {"8000": site.server.http_url, "8001": site.server.grpc_url, "8002": metrics_address(site)}
        script = f"set -e -o pipefail\n{example.text}"
        for port, address in ports.items():
            script = script.replace(f"localhost:{port}", address)
        return subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout

    def test_a_shell_example_succeeds_without_an_error_in_any_answer(
        self, site: Site, example: Example
    ) -> None:
        assert '"error"' not in self.run(site, example)

    def test_afterwards_the_router_still_has_its_variants(
        self, site: Site, client: Client, example: Example
    ) -> None:
        self.run(site, example)
        assert client.grpc.is_model_ready("squeezenet")
        assert client.grpc.is_model_ready("squeezenet_cpu")
        assert client.grpc.is_model_ready("squeezenet_cpu_int8")


def metrics_address(site: Site) -> str:
    return site.server.metrics_url.removeprefix("http://").removesuffix("/metrics")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_dry_run_of_the_readme_returns_a_decision(site: Site) -> None:
    (example,) = (each for each in examples("sh") if each.document == README)
    (output,) = json.loads(TestShell.run(site, example))["outputs"]
    decision: dict[str, Any] = json.loads(output["data"][0])
    assert decision["variant"] in ("squeezenet_cpu", "squeezenet_cpu_int8")
    assert decision["observed_ms"] is None
    assert len(decision["candidates"]) == len(variant_names("squeezenet"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_client_that_names_the_outputs_that_are_shown_gets_the_answer_and_the_decision(site: Site) -> None:
    (example,) = (each for each in examples("sh") if "routing_decision" in each.text)
    outputs = {output["name"]: output for output in json.loads(TestShell.run(site, example))["outputs"]}
    assert set(outputs) == {"probabilities", "routing_decision"}
    assert len(outputs["probabilities"]["data"]) == 1000
    assert json.loads(outputs["routing_decision"]["data"][0])["observed_ms"] > 0


@pytest.mark.parametrize("example", examples("python server"), ids=str)
def test_a_program_that_starts_a_server_runs(site: Site, example: Example, tmp_path: Path) -> None:
    for model in site.repository.glob("squeezenet*"):  # those of the other examples take long to load
        shutil.copytree(model, tmp_path / "model_repository" / model.name)
    done = subprocess.run(
        [sys.executable, "-c", example.text],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "squeezenet READY" in done.stdout
    assert "squeezenet_mps UNAVAILABLE Internal: TritonModelException: model 'squeezenet_mps':" in done.stdout
    assert done.stdout.endswith("\n32\n")


def test_the_server_knows_the_flags_that_the_documents_name() -> None:
    wheel = find_wheel()
    helped = subprocess.run(
        [wheel.server, "--help"], env=server_environment(wheel), check=False, capture_output=True, text=True
    )
    named = {
        flag.partition("=")[0]
        for document in (README, *(DOCS / "start").glob("*.md"), *(DOCS / "operate").glob("*.md"))
        for word in code_words(document)
        if word.startswith("--")
        for flag in word.split()
    }
    known = set(re.findall(r"--[\w-]+", helped.stdout + helped.stderr))
    assert named - NOT_OF_TRITON <= known
