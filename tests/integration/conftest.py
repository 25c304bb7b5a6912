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


@pytest.fixture(scope="module")
def triton_server(router_host: RouterHost) -> Iterator[Callable[..., EmbeddedTriton]]:
    """Starts a ready server: `triton_server(repository, **options_of_EmbeddedTriton)`.

    The tests of a module share it; it ends after them, or earlier with `.stop()`.
    """
    with ExitStack() as running:

        def start(repository: Path, **options: Any) -> EmbeddedTriton:
            return running.enter_context(EmbeddedTriton(repository, router_host=router_host, **options))

        yield start
