"""What a variant on another machine costs, and how soon it is used again: two servers on this machine.

    python -m tests.benchmarks.remote_calls [--json]

A model of another server is called directly, and by a remote variant of this one, alternately: with small
tensors, and with an input of 2.4 MB. Then a router in front of the remote variant and a slower local one gets
a request every 10 ms, while the other server is killed and started again several times.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGKILL
from typing import Annotated, Any

import numpy as np
import tritonclient.grpc as grpcclient
import typer
from rich.console import Console

from router_tools.embedded_triton import EmbeddedTriton
from tests.benchmarks.serving_overhead import add_model
from tests.integration.client import decision_of

ELEMENTS = {"small": 16, "2.4 MB": 600_000}
CONFIG = """backend: "python"
max_batch_size: 8
input { name: "input" data_type: TYPE_FP32 dims: [-1] }
output { name: "output" data_type: TYPE_FP32 dims: [1] }
instance_group { kind: KIND_CPU }
parameters { key: "device" value { string_value: "cpu" } }
"""
PARAMETER = 'parameters {{ key: "{}" value {{ string_value: "{}" }} }}\n'
SUM = """import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.delay_s = 0.02 if "local" in args["model_name"] else 0.0

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        time.sleep(self.delay_s)
        total = request.inputs()[0].as_numpy().sum(axis=1, keepdims=True)
        return pb_utils.InferenceResponse([pb_utils.Tensor("output", total)])
"""
REMOTE = "from router_backend.executors.remote import TritonPythonModel\n"
ROUTER = 'backend: "router_backend"\n' + PARAMETER.format("variants", "by_grpc, local")
INTERVAL_S = 0.01


def write_model(folder: Path, name: str, code: str, **parameters: str) -> None:
    """Write a model with its code and parameters."""
    texts = "".join(PARAMETER.format(key, value) for key, value in parameters.items())
    add_model(folder, name, None, CONFIG + texts)
    (folder / name / "1" / "model.py").write_text(code)


class Caller:
    """Calls a model with an input of a number of elements."""

    def __init__(self, url: str, model: str, elements: int) -> None:
        self._client = grpcclient.InferenceServerClient(url)
        self._model = model
        self._tensor = grpcclient.InferInput("input", [1, elements], "FP32")
        self._values = np.ones((1, elements), np.float32)

    def call_ms(self) -> float:
        """Return how long a call took, the input's serialization included."""
        started_s = time.perf_counter()
        self._tensor.set_data_from_numpy(self._values)
        answer = self._client.infer(self._model, [self._tensor]).as_numpy("output")
        taken_ms = (time.perf_counter() - started_s) * 1e3
        assert answer[0, 0] == self._values.size
        return taken_ms


def p50_by_path(paths: dict[str, Caller], calls: int, rounds: int) -> dict[str, float]:
    """Return the median of each path's medians over rounds in which they take turns."""
    medians: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(rounds):
        for name, caller in paths.items():
            medians[name].append(statistics.median(caller.call_ms() for _ in range(calls)))
    return {name: statistics.median(each) for name, each in medians.items()}


def run_kills(here: EmbeddedTriton, start_node: Any, kills: int) -> dict[str, Any]:
    """Kill the other server every 10 s under load; return what clients saw."""
    failed, back_s, latencies_ms = [], [], []
    client = grpcclient.InferenceServerClient(here.grpc_url)
    tensor = grpcclient.InferInput("input", [1, 16], "FP32")
    tensor.set_data_from_numpy(np.ones((1, 16), np.float32))

    def requests(seconds: float) -> Iterator[str]:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            started_s = time.perf_counter()
            try:
                answer = client.infer("routed", [tensor], parameters={"router_explain": True})
                yield str(decision_of(answer)["variant"])
            except grpcclient.InferenceServerException as error:
                failed.append(error.message())
            latencies_ms.append((time.perf_counter() - started_s) * 1e3)
            time.sleep(INTERVAL_S)

    for _ in range(kills):
        with start_node():
            ready_s = time.monotonic()
            for variant in requests(10.0):
                if variant == "by_grpc":
                    back_s.append(time.monotonic() - ready_s)
                    break
            list(requests(5.0))
        list(requests(5.0))
    cuts = statistics.quantiles(latencies_ms, n=100)
    return {
        "requests": len(latencies_ms),
        "failed": failed,
        "back_within_s": back_s,
        "p50_ms": cuts[49],
        "p99_ms": cuts[98],
        "worst_ms": max(latencies_ms),
    }


def run(
    calls: Annotated[int, typer.Option(help="Calls of each path in a round.")] = 300,
    rounds: Annotated[int, typer.Option(help="Rounds.")] = 9,
    kills: Annotated[int, typer.Option(help="How often the other server is killed.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Print the latencies of both ways, and what clients saw of a server that is killed again and again."""
    with (
        tempfile.TemporaryDirectory() as there,
        tempfile.TemporaryDirectory() as at_home,
        ExitStack() as undo,
    ):
        write_model(Path(there), "sum", SUM)
        node = undo.enter_context(EmbeddedTriton(Path(there)))
        for protocol, url in (("grpc", node.grpc_url), ("http", node.http_url)):
            parameters = {"url": url, "model": "sum", "protocol": protocol}
            write_model(Path(at_home), f"by_{protocol}", REMOTE, **parameters)
        write_model(Path(at_home), "local", SUM)
        add_model(Path(at_home), "routed", None, ROUTER)
        here = undo.enter_context(EmbeddedTriton(Path(at_home)))
        latencies = {}
        for size, elements in ELEMENTS.items():
            paths = {"direct": Caller(node.grpc_url, "sum", elements)}
            for model in ("by_grpc", "by_http"):
                paths[model] = Caller(here.grpc_url, model, elements)
            latencies[size] = p50_by_path(paths, calls if elements < 100 else calls // 10, rounds)
        ports = [int(url.rpartition(":")[2]) for url in (node.grpc_url, node.http_url)]
        node.stop()

        @contextmanager
        def start_node() -> Iterator[None]:
            again = EmbeddedTriton(Path(there), grpc_port=ports[0], http_port=ports[1])
            with again:
                yield
                again.send_signal(SIGKILL)

        seen = run_kills(here, start_node, kills)
    _print(latencies, seen, as_json)


def _print(latencies: dict[str, dict[str, float]], seen: dict[str, Any], as_json: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"p50_ms": latencies, "killed": seen}))
        return
    for size, by_path in latencies.items():
        direct_ms = by_path["direct"]
        for name, each_ms in by_path.items():
            more = f"{each_ms - direct_ms:+.2f} ms, {each_ms / direct_ms:.2f} of direct"
            console.print(f"{size:8}{name:10}p50 {each_ms:7.3f} ms  {more}")
    console.print(
        f"killed: {seen['requests']} requests, {len(seen['failed'])} failed; p50 {seen['p50_ms']:.1f} ms, "
        f"p99 {seen['p99_ms']:.1f} ms, worst {seen['worst_ms']:.1f} ms; used again after "
        f"{_seconds(seen['back_within_s'])} s"
    )
    for error in dict.fromkeys(seen["failed"]):
        console.print(f"  a client got: {error}", markup=False)


def _seconds(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


if __name__ == "__main__":
    typer.run(run)
