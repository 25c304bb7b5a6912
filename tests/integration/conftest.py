"""Real servers for the integration tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from router_tools.embedded_triton import EmbeddedTriton, RouterHost


@pytest.fixture(scope="module", params=list(RouterHost), ids=lambda host: host.value)
def router_host(request: pytest.FixtureRequest) -> RouterHost:
    """What runs the routers of a module's servers: its tests run on both hosts."""
    host: RouterHost = request.param
    return host


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
            return running.enter_context(EmbeddedTriton(repository, router_host=router_host, **options))

        yield start
