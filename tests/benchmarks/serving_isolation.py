"""Isolation of fast requests from slow ones in the router, and the number of requests in flight.

    python -m tests.benchmarks.serving_isolation

Fast requests are sent through the router to a variant that answers immediately: first alone, then while eight
clients send requests of 100 ms through the same router. Then 400 requests of 500 ms are sent at once; they
take little more than 500 ms if all are in flight together.
"""

import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpcclient
import typer
from rich.console import Console

from router_tools.embedded_triton import EmbeddedTriton
from tests.benchmarks.serving_overhead import add_model

THREADS = 512
ROUTER = f"""backend: "router_backend"
parameters {{ key: "variants" value {{ string_value: "delayed" }} }}
parameters {{ key: "worker_threads" value {{ string_value: "{THREADS}" }} }}
parameters {{ key: "warmup_batch_sizes" value {{ string_value: "1" }} }}
"""


class Client:
    """Sends one small tensor to the router."""

    def __init__(self, url: str) -> None:
        self._client = grpcclient.InferenceServerClient(url)
        self._tensor = grpcclient.InferInput("input", [1, 16], "FP32")
        self._tensor.set_data_from_numpy(np.zeros((1, 16), np.float32))

    def infer(self, delay_ms: int) -> float:
        """Send a request that takes `delay_ms` in the variant and return the latency in ms."""
        started_s = time.perf_counter()
        self._client.infer("routed", [self._tensor], parameters={"delay_ms": delay_ms})
        return (time.perf_counter() - started_s) * 1e3

    def infer_many(self, count: int, delay_ms: int) -> float:
        """Send `count` requests at once and return the time until the last answer, in ms."""
        done = threading.Semaphore(0)
        errors = []

        def answered(result: object, error: Exception | None) -> None:
            if error is not None:
                errors.append(error)
            done.release()

        started_s = time.perf_counter()
        for _ in range(count):
            self._client.async_infer("routed", [self._tensor], answered, parameters={"delay_ms": delay_ms})
        for _ in range(count):
            done.acquire()
        if errors:
            raise RuntimeError(f"{len(errors)} of {count} requests failed, the first with: {errors[0]}")
        return (time.perf_counter() - started_s) * 1e3


def run(requests: int = 1500, rounds: int = 5) -> None:
    """Print median latencies of fast requests, alone and beside slow ones, and the time of 400 at once."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        add_model(Path(folder), "delayed", "delayed")
        add_model(Path(folder), "routed", None, ROUTER)
        settings = {"python": {"thread-pool-size": THREADS}}
        with EmbeddedTriton(Path(folder), backend_settings=settings) as triton:
            time.sleep(3)  # the router's warm-up
            ratios = [_round(triton.grpc_url, requests, console) for _ in range(rounds)]
            all_ms = statistics.median(Client(triton.grpc_url).infer_many(400, 500) for _ in range(rounds))
    console.print(f"fast beside slow : fast alone, median of the rounds: {statistics.median(ratios):.3f}")
    console.print(f"400 requests of 500 ms at once: all answered after {all_ms:.0f} ms (median)")


def _round(url: str, requests: int, console: Console) -> float:
    client = Client(url)
    alone_ms = statistics.median(client.infer(0) for _ in range(requests))
    done = threading.Event()
    slow = [threading.Thread(target=_keep_slow, args=(url, done)) for _ in range(8)]
    for thread in slow:
        thread.start()
    beside_ms = statistics.median(client.infer(0) for _ in range(requests))
    done.set()
    for thread in slow:
        thread.join()
    console.print(f"alone {alone_ms:.3f} ms, beside eight of 100 ms {beside_ms:.3f} ms")
    return beside_ms / alone_ms


def _keep_slow(url: str, done: threading.Event) -> None:
    client = Client(url)
    while not done.is_set():
        client.infer(100)


if __name__ == "__main__":
    typer.run(run)
