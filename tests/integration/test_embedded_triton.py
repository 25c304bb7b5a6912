"""A real server from the wheel starts, answers, reports errors and leaves nothing behind."""

import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from router_backend.runtime.shared_capacity import shared_file
from router_tools.embedded_triton import EmbeddedTriton, ModelStatus, RouterHost
from router_tools.embedded_triton.ports import choose_ports
from router_tools.embedded_triton.session import session_members
from router_tools.embedded_triton.shared_memory import find_regions
from router_tools.errors import ToolError
from tests.integration.model_repository import ModelRepository
from tests.integration.python_models import BROKEN, ENDLESS, IDENTITY, SLEEPER, add_model

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def router_host() -> RouterHost:
    return RouterHost.best()  # these tests are not about the router


BROKEN_REASON = "Internal: RuntimeError: broken needs a device that is not here"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    add_model(folder, "identity", IDENTITY)
    add_model(folder, "broken", BROKEN)
    return folder


@pytest.fixture(scope="module")
def servers(triton_server: Callable[..., EmbeddedTriton], repository: Path) -> list[EmbeddedTriton]:
    return [triton_server(repository), triton_server(repository)]


def own_regions() -> list[Path]:
    """Return the shared memory of all servers that this process has started."""
    return find_regions(f"model_router_{os.getpid()}_")


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def echo(client_module: ModuleType, url: str, values: list[float]) -> list[float]:
    sent = np.array(values, dtype=np.float32)
    tensor = client_module.InferInput("IN", list(sent.shape), "FP32")
    tensor.set_data_from_numpy(sent)
    with closing(client_module.InferenceServerClient(url)) as client:
        received: list[float] = client.infer("identity", [tensor]).as_numpy("OUT").tolist()
    return received


def test_two_servers_side_by_side_answer_over_grpc_and_http(servers: list[EmbeddedTriton]) -> None:
    for number, server in enumerate(servers):
        assert echo(tritonclient.grpc, server.grpc_url, [number, 0.5]) == [number, 0.5]
        assert echo(tritonclient.http, server.http_url, [number, 0.25]) == [number, 0.25]


def test_the_metrics_page_is_there(servers: list[EmbeddedTriton]) -> None:
    with urllib.request.urlopen(servers[0].metrics_url) as page:
        assert b'nv_inference_request_success{model="identity"' in page.read()


def test_a_model_that_failed_to_load_is_listed_with_its_reason_and_the_others_serve(
    servers: list[EmbeddedTriton],
) -> None:
    assert servers[0].models() == [
        ModelStatus("broken", "1", "UNAVAILABLE", BROKEN_REASON),
        ModelStatus("identity", "1", "READY", ""),
    ]


def test_stopping_lets_models_finish_and_keeps_a_given_log_file(
    triton_server: Callable[..., EmbeddedTriton], repository: Path, tmp_path: Path
) -> None:
    server = triton_server(
        repository,
        log_file=tmp_path / "log",
        model_control_mode="explicit",
        extra_arguments=["--load-model=identity"],
    )
    assert [(model.state, model.reason) for model in server.models()] == [
        ("UNAVAILABLE", "not loaded"),
        ("READY", ""),
    ]
    server.stop()
    assert "identity is finalized" in (tmp_path / "log").read_text()


def test_a_server_without_metrics_is_not_waited_for_longer(
    triton_server: Callable[..., EmbeddedTriton], repository: Path
) -> None:
    server = triton_server(repository, extra_arguments=["--allow-metrics=false"])
    assert echo(tritonclient.grpc, server.grpc_url, [1.0]) == [1.0]
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(server.metrics_url)


def test_a_server_is_not_ready_before_its_metrics_page_is_there(repository: Path) -> None:
    elsewhere = choose_ports("127.0.0.1", None)[0]
    server = EmbeddedTriton(repository, extra_arguments=[f"--metrics-port={elsewhere}"])
    with ExitStack() as undo:
        undo.callback(server.stop)
        server.start()
        wait_until(lambda: listens(elsewhere))  # which Triton does last
        with pytest.raises(ToolError, match=r"the server was not ready within 0\.5 s"):
            server.wait_ready(timeout_s=0.5)


def test_with_exit_on_error_a_failed_model_ends_the_start_and_the_log_stays_readable(
    repository: Path,
) -> None:
    before = own_regions()
    server = EmbeddedTriton(repository, exit_on_error=True)
    with pytest.raises(ToolError, match=f"model 'broken' failed to load: {BROKEN_REASON}. Fix"), server:
        pass
    assert session_members(server.pid) == []
    assert own_regions() == before
    assert "failed to load 'broken'" in server.log_text()
    assert not server.log_file.exists()


def test_a_model_without_its_file_is_named_although_the_server_would_wait_without_end(tmp_path: Path) -> None:
    add_model(tmp_path, "hollow", IDENTITY)
    (tmp_path / "hollow" / "1" / "model.py").unlink()
    with (
        pytest.raises(ToolError, match=r"model file not found in .*hollow/1/model\.py.*"),
        EmbeddedTriton(tmp_path),
    ):
        pass


def test_a_start_that_takes_too_long_names_the_model_and_leaves_nothing(tmp_path: Path) -> None:
    before = own_regions()
    add_model(tmp_path, "endless", ENDLESS)
    server = EmbeddedTriton(tmp_path)
    with ExitStack() as undo:
        undo.callback(server.stop)
        server.start()
        wait_until(lambda: own_regions() != before)  # the model's stub has started
        with pytest.raises(ToolError, match=r"not ready within 0\.5 s, because it is still loading endless"):
            server.wait_ready(timeout_s=0.5)
    assert session_members(server.pid) == []
    assert own_regions() == before


def test_a_refused_argument_is_named(repository: Path) -> None:
    server = EmbeddedTriton(repository, extra_arguments=["--nonsense"])
    with pytest.raises(ToolError, match="unrecognized option '--nonsense'"), server:
        pass


def test_a_server_that_refuses_an_argument_and_goes_on_without_serving_is_named(repository: Path) -> None:
    server = EmbeddedTriton(repository, extra_arguments=["--cache-config=absent,size=1"])
    reason = "the server runs but serves nothing .*unable to find 'libtritoncache_absent.so'.*: fix its arg"
    with pytest.raises(ToolError, match=reason), server:
        pass


def test_a_server_that_listens_elsewhere_than_it_was_told_is_named(repository: Path) -> None:
    server = EmbeddedTriton(repository, extra_arguments=["--http-port=99999"])
    with (
        pytest.raises(ToolError, match="the server uses HTTP port 99999: set ports with --http-port"),
        server,
    ):
        pass


def test_a_taken_port_is_named_and_no_server_is_started(repository: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = EmbeddedTriton(repository, grpc_port=port)
        with pytest.raises(ToolError, match=f"gRPC port {port} .*by process {os.getpid()}"), server:
            pass
    with pytest.raises(RuntimeError, match="not been started"):
        _ = server.pid


def test_a_log_file_that_cannot_be_written_is_named(repository: Path, tmp_path: Path) -> None:
    server = EmbeddedTriton(repository, log_file=tmp_path / "nowhere" / "log")
    with pytest.raises(ToolError, match=r"log file .*nowhere/log cannot be written \(No such file"), server:
        pass


def test_a_missing_repository_is_named(tmp_path: Path) -> None:
    server = EmbeddedTriton(tmp_path / "nowhere")
    with pytest.raises(ToolError, match=f"{tmp_path}/nowhere is not a folder"), server:
        pass


def test_after_a_kill_even_busy_stubs_and_their_shared_memory_are_removed(tmp_path: Path) -> None:
    before = own_regions()
    add_model(tmp_path, "sleeper", SLEEPER)
    with EmbeddedTriton(tmp_path) as server:
        client = threading.Thread(target=ask_sleeper, args=(server.grpc_url,))
        client.start()
        wait_until((tmp_path / "sleeper" / "1" / "busy").exists)
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait_end() == -signal.SIGKILL
        assert own_regions() != before
    assert session_members(server.pid) == []
    assert own_regions() == before
    client.join()


def test_the_file_that_routers_share_is_removed_after_a_failed_start(tmp_path: Path) -> None:
    add_routed(tmp_path)
    add_model(tmp_path, "endless", ENDLESS)
    server = EmbeddedTriton(tmp_path)
    with ExitStack() as undo:
        undo.callback(server.stop)
        server.start()
        wait_until(shared_file(tmp_path).exists)
        with pytest.raises(ToolError, match="not ready within"):
            server.wait_ready(timeout_s=0.5)
    assert not shared_file(tmp_path).exists()


def test_the_file_that_routers_share_is_removed_after_a_kill_unless_another_server_uses_it(
    tmp_path: Path,
) -> None:
    add_routed(tmp_path)
    with EmbeddedTriton(tmp_path):
        with EmbeddedTriton(tmp_path) as server:
            os.kill(server.pid, signal.SIGKILL)
            server.wait_end()
        assert shared_file(tmp_path).exists()
    with EmbeddedTriton(tmp_path) as server:
        os.kill(server.pid, signal.SIGKILL)
        server.wait_end()
        assert shared_file(tmp_path).exists()
    assert not shared_file(tmp_path).exists()


def add_routed(repository: Path) -> None:
    """Add a router and its variant."""
    models = ModelRepository(repository)
    models.variant("double", "scaling", factor=2)
    models.router("router", "double")


def ask_sleeper(grpc_url: str) -> None:
    """Send a request that takes longer than the server runs."""
    tensor = tritonclient.grpc.InferInput("IN", [1], "FP32")
    tensor.set_data_from_numpy(np.zeros(1, dtype=np.float32))
    with (
        closing(tritonclient.grpc.InferenceServerClient(grpc_url)) as client,
        pytest.raises(InferenceServerException),
    ):
        client.infer("sleeper", [tensor])


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.02)
