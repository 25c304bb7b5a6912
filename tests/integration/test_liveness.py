"""A router says whether it is ready, and a dead one is noticed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import psutil
import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, items
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

DAY_MS = 24 * 60 * 60 * 1000
IS_IT_READY = "is it ready?"
TELLS_WHETHER_IT_IS_READY = f"""
import triton_python_backend_utils as pb_utils
from router_backend.model import TritonPythonModel as Router


class TritonPythonModel(Router):
    def execute(self, requests):
        super().execute([request for request in requests if request.request_id() != "{IS_IT_READY}"])
        for request in requests:
            if request.request_id() == "{IS_IT_READY}":  # Triton itself asks from 26.03 on
                answer = pb_utils.InferenceResponse(error=pb_utils.TritonError(str(self.is_ready())))
                request.get_response_sender().send(answer, pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> ModelRepository:
    repository = ModelRepository(tmp_path_factory.mktemp("liveness"))
    repository.variant("double", "scaling", factor=2)
    repository.variant("absent", "gated", gate="nowhere")
    repository.router("router", "double")
    for name, variants, interval_ms in (
        ("served", "double, absent", DAY_MS),
        ("deserted", "absent", DAY_MS),
        ("curious", "absent", 1),
    ):
        repository.plain_router(name, variants, readiness_interval_ms=interval_ms)
        (repository.folder / name / "1" / "model.py").write_text(TELLS_WHETHER_IT_IS_READY)
    return repository


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository) -> EmbeddedTriton:
    # With a dead process, a server takes all of this time to end.
    return triton_server(repository.folder, extra_arguments=["--exit-timeout-secs=2"])


@pytest.fixture
def client(server: EmbeddedTriton) -> Iterator[Client]:
    with closing(Client(server)) as client:
        yield client


def liveness(address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "router_backend.liveness", address]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("router", "answer"), [("served", "True"), ("deserted", "False"), ("curious", "True")]
)
def test_a_router_is_ready_if_a_variant_is_or_if_that_is_not_known(
    client: Client, router: str, answer: str
) -> None:
    if router == "served":
        client.output(router, items(1))
    else:
        assert client.refusal(router, items(1)).status == "UNAVAILABLE"
    assert client.refusal(router, items(1), request_id=IS_IT_READY).message.endswith(answer)


@pytest.mark.usefixtures("python_host")  # the native host has no process of its own
def test_a_router_whose_process_has_died_is_named_and_the_others_are_not(server: EmbeddedTriton) -> None:
    assert liveness(server.http_url).returncode == 0
    for process in psutil.Process(server.pid).children():
        if any("router_0" in argument for argument in process.cmdline()):
            process.kill()
    found = liveness(server.http_url)
    assert found.returncode == 2
    assert found.stderr == "the process of router has died: load it again, or restart the server\n"


def test_a_server_that_does_not_answer_is_not_ready() -> None:
    found = liveness("127.0.0.1:1")
    assert found.returncode == 1
    assert found.stderr.startswith("the server at 127.0.0.1:1 is not ready: ")
    assert found.stderr.count("\n") == 1
