"""A native library that the server cannot load leaves the server and `model.py` as they are."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from router_tools.embedded_triton.backend_directory import LIBRARY, ROUTER_BACKEND, assemble_backends
from router_tools.embedded_triton.wheel import find_wheel
from tests.integration.client import Client, items
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

MACHINE = slice(18, 20)
"""Where an ELF header has the number of the machine."""
AARCH64 = (0xB7).to_bytes(2, "little")
PYTHON_HOST = 'runtime: "model.py"'


@pytest.fixture(scope="module")
def router_host() -> RouterHost:
    return RouterHost.PYTHON


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    """A server with the library of another machine in the folder of the backend."""
    folder = tmp_path_factory.mktemp("unusable")
    backends = folder / "backends"
    assemble_backends(find_wheel(), backends, RouterHost.PYTHON)
    library = backends / ROUTER_BACKEND / LIBRARY.name
    library.write_bytes(library_of_another_machine(find_wheel().python_backend))
    repository = ModelRepository(folder / "models")
    repository.variant("double", "scaling", factor=2)
    repository.router("native", "double")
    repository.router("python", "double", PYTHON_HOST)
    return triton_server(
        repository.folder,
        model_control_mode="explicit",
        extra_arguments=[f"--backend-directory={backends}", "--load-model=double"],
    )


def library_of_another_machine(python_backend: Path) -> bytes:
    """Return any backend's library with the number of another machine in its header."""
    library = bytearray((python_backend / "libtriton_python.so").read_bytes())
    assert library[MACHINE] != AARCH64
    library[MACHINE] = AARCH64
    return bytes(library)


@pytest.fixture
def client(server: EmbeddedTriton) -> Iterator[Client]:
    with closing(Client(server)) as client:
        yield client


def test_only_a_router_that_asks_for_the_python_host_loads_and_later_ones_follow_it(client: Client) -> None:
    with pytest.raises(InferenceServerException, match="unable to load shared library: ") as raised:
        client.grpc.load_model("native")
    assert f"{ROUTER_BACKEND}/{LIBRARY.name}: " in raised.value.message()
    client.grpc.load_model("python")
    np.testing.assert_array_equal(client.output("python", items(3)), items(6))
    client.grpc.load_model("native")
    np.testing.assert_array_equal(client.output("native", items(3)), items(6))
