"""Real servers for the integration tests."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from signal import SIGKILL
from typing import Any

import psutil
import pytest

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from tests.integration.client import Client

LOG_LINES = 100


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, with a failed test, what its server logged last, and whether it still ran."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, EmbeddedTriton):
                log = "\n".join(value.log_text().splitlines()[-LOG_LINES:])
                report.sections.append((f"log of {name} ({state(value)})", log))
    return report


def state(server: EmbeddedTriton) -> str:
    """Return what a server's process does, such as "sleeping", or that it has ended."""
    try:
        return psutil.Process(server.pid).status()
    except (psutil.Error, RuntimeError):  # the server has not been started, or is gone
        return "ended"


@pytest.fixture(scope="module", params=list(RouterHost), ids=lambda host: host.value)
def router_host(request: pytest.FixtureRequest) -> RouterHost:
    """What runs the routers of a module's servers: its tests run on both hosts."""
    host: RouterHost = request.param
    return host


@pytest.fixture(scope="module")
def host_folder(router_host: RouterHost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the tests of a module change: on the other host, they find another one."""
    return tmp_path_factory.mktemp(router_host.value)


@pytest.fixture
def python_host(router_host: RouterHost) -> None:
    """Skip a test on the native host, for which it does not hold."""
    if router_host is not RouterHost.PYTHON:
        pytest.skip("holds for the Python host only")


@pytest.fixture
def native_host(router_host: RouterHost) -> None:
    """Skip a test on the Python host, for which it does not hold."""
    if router_host is not RouterHost.NATIVE:
        pytest.skip("holds for the native host only")


@pytest.fixture(scope="module")
def triton_server(router_host: RouterHost) -> Iterator[Callable[..., EmbeddedTriton]]:
    """Starts a ready server: `triton_server(repository, **options_of_EmbeddedTriton)`.

    The tests of a module share it; it ends after them, or earlier with `.stop()`.
    """
    with ExitStack() as running:

        def start(repository: Path, **options: Any) -> EmbeddedTriton:
            server = running.enter_context(EmbeddedTriton(repository, router_host=router_host, **options))
            # Triton takes seconds to end by itself, which `test_embedded_triton.py` tests.
            running.callback(server.send_signal, SIGKILL)
            return server

        yield start


@pytest.fixture
def client(server: EmbeddedTriton) -> Iterator[Client]:
    """A client of the module's fixture `server`."""
    with closing(Client(server)) as client:
        yield client
