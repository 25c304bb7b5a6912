"""The server on which faults are tried: a router in front of four variants that can be made ill."""

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL

import numpy as np
import psutil
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from router_tools.embedded_triton.session import session_members
from router_tools.errors import ToolError

ROUTER = "chaos"
SERVICE_MS = {"first": 4.0, "second": 6.0, "third": 8.0, "fourth": 10.0}
"""Service times of the variants; the first one, which is the fastest, is the one that is made ill."""
ILL = "first"
MODEL_CODE = Path(__file__).with_name("faulty_model.py")
LARGEST_BATCH = 8
ITEM_ELEMENTS = 4
READY_WITHIN_S = 60.0

CONFIG = """backend: "python"
max_batch_size: {batch}
input {{ name: "INPUT" data_type: TYPE_FP32 dims: {elements} }}
output {{ name: "OUTPUT" data_type: TYPE_FP32 dims: {elements} }}
instance_group {{ kind: KIND_CPU }}
"""


class Crowd:
    """Counts requests that nobody waits for, and keeps their errors. Thread-safe.

    Attributes:
        errors: the errors that they got.
    """

    def __init__(self) -> None:
        self._waiting = 0
        self._lock = threading.Lock()
        self.errors: list[str] = []

    @property
    def waiting(self) -> int:
        """How many have no answer yet."""
        return self._waiting

    def sent(self) -> None:
        """Count a request."""
        with self._lock:
            self._waiting += 1

    def ended(self, result: object, error: InferenceServerException | None) -> None:  # noqa: ARG002
        """Count its end, from a thread of the client's."""
        with self._lock:
            self._waiting -= 1
        if error is not None:
            self.errors.append(str(error.message()))


class Stage:
    """A running server, and how to make a variant ill.

    Args:
        folder: its model repository, with the files that say which variant is ill.
        triton: the server.

    Attributes:
        crowd: answers to the requests that a fault sends besides the load.
    """

    def __init__(self, folder: Path, triton: EmbeddedTriton) -> None:
        self._folder = folder
        self.triton = triton
        self.client = grpcclient.InferenceServerClient(triton.grpc_url)
        self.crowd = Crowd()
        self._loads = 0

    def set_fault(self, fault: str, variant: str = ILL) -> None:
        """Make a variant ill, or `well`: see `faulty_model`."""
        path = fault_file(self._folder, variant)
        unfinished = path.with_suffix(".new")
        unfinished.write_text(fault)
        unfinished.replace(path)

    def kill(self, variant: str = ILL) -> None:
        """Kill the process of a variant, if it is loaded: Triton waits for ever for one that dies before."""
        if not self.client.is_model_ready(variant):
            return
        for process in session_members(self.triton.pid):
            if _is_of_model(process, self._folder / variant):
                os.kill(process.pid, SIGKILL)

    def send_to(self, variant: str, value: float) -> None:
        """Send a request that only one variant may answer, and do not wait for it."""
        self.crowd.sent()
        self.client.async_infer(
            ROUTER, batch(value, 1), self.crowd.ended, parameters={"router_allowed_variants": variant}
        )

    def reload(self, variant: str) -> None:
        """Unload a variant, wait until it is gone, and load it again."""
        self.client.unload_model(variant)
        until_s = time.monotonic() + READY_WITHIN_S
        while self.client.is_model_ready(variant) and time.monotonic() < until_s:
            time.sleep(0.01)
        self.client.load_model(variant)

    def reload_router(self) -> None:
        """Load the router again, by a change of its configuration."""
        self._loads += 1
        write_router(self._folder, max_in_flight=1000 + self._loads)
        self.client.load_model(ROUTER)

    def requests_served(self, variant: str = ILL) -> int:
        """Return how many requests a variant has answered since it was loaded; 0 while it is not."""
        try:
            statistics = self.client.get_inference_statistics(variant)
        except InferenceServerException:
            return 0
        return sum(int(each.inference_stats.success.count) for each in statistics.model_stats)


@contextmanager
def open_stage(folder: Path, host: RouterHost) -> Iterator[Stage]:
    """Start a server with a router on one of the two hosts.

    Raises:
        ToolError: it does not start.
    """
    for variant, service_ms in SERVICE_MS.items():
        write_variant(folder, variant, service_ms)
    write_router(folder, max_in_flight=1000)
    with EmbeddedTriton(
        folder,
        router_host=host,
        model_control_mode="explicit",
        extra_arguments=["--load-model=*", "--exit-timeout-secs=3"],
    ) as triton:
        yield Stage(folder, triton)


def write_variant(folder: Path, name: str, service_ms: float) -> None:
    """Write a variant into a model repository."""
    (folder / name / "1").mkdir(parents=True)
    shutil.copy(MODEL_CODE, folder / name / "1" / "model.py")
    parameters = {"device": "cpu", "service_ms": service_ms, "fault_file": fault_file(folder, name)}
    config = CONFIG.format(batch=LARGEST_BATCH, elements=ITEM_ELEMENTS)
    (folder / name / "config.pbtxt").write_text(config + _parameters(parameters))


def write_router(folder: Path, max_in_flight: int) -> None:
    """Write the router into a model repository."""
    (folder / ROUTER / "1").mkdir(parents=True, exist_ok=True)
    parameters = {"variants": ", ".join(SERVICE_MS), "max_in_flight": max_in_flight}
    (folder / ROUTER / "config.pbtxt").write_text('backend: "router_backend"\n' + _parameters(parameters))


def fault_file(folder: Path, variant: str) -> Path:
    """Return the file that says how a variant is ill."""
    return folder / variant / "fault.txt"


def batch(value: float, size: int) -> list[grpcclient.InferInput]:
    """Return the inputs of a request, filled with one value."""
    values = np.full((size, ITEM_ELEMENTS), value, dtype=np.float32)
    tensor = grpcclient.InferInput("INPUT", values.shape, "FP32")
    return [tensor.set_data_from_numpy(values)]


def hosts_of(names: Sequence[str]) -> list[RouterHost]:
    """Return hosts by their names; those that can run here if there are none.

    Raises:
        ToolError: there is no host of such a name, or it cannot run here.
    """
    present = {host.value: host for host in RouterHost.present()}
    for name in names:
        if name not in present:
            raise ToolError(f"--hosts: expected some of {', '.join(present)}, found '{name}'")
    return [present[name] for name in names or present]


def _is_of_model(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(each.startswith(f"{folder}/") for each in process.cmdline())
    except psutil.Error:
        return False


def _parameters(parameters: dict[str, object]) -> str:
    entries = [
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
        for key, value in parameters.items()
    ]
    return "".join(entries)
