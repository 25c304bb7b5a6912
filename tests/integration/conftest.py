"""Real servers for the integration tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client


@pytest.fixture(scope="module")
def triton_server() -> Iterator[Callable[..., EmbeddedTriton]]:
    """Starts a ready server: `triton_server(repository, **options_of_EmbeddedTriton)`.

    The tests of a module share it; it ends after them, or earlier with `.stop()`.
    """
    with ExitStack() as running:

        def start(repository: Path, **options: Any) -> EmbeddedTriton:
            server = running.enter_context(EmbeddedTriton(repository, **options))
            # Triton takes seconds to end by itself, which `test_embedded_triton.py` tests.
            running.callback(server.send_signal, SIGKILL)
            return server

        yield start


@pytest.fixture
def client(server: EmbeddedTriton) -> Iterator[Client]:
    """A client of the module's fixture `server`."""
    with closing(Client(server)) as client:
        yield client
