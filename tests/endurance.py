"""What is left behind in the server by the native host: `python -m tests.endurance`.

A router is loaded and unloaded again and again, each time with a request. Then a variant hangs while clients
send it requests with a timeout of 50 ms, and answers in the end. The server must not grow or keep a thread.
"""

import statistics
import sys
import tempfile
import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from tests.integration.client import Client, items, refusal_of, state_of, until
from tests.integration.model_repository import ModelRepository
from tests.usage import Usage

PARTS = 10
"""Growth is looked for after the first of so many parts: until then, caches and heaps fill."""
MAX_GROWTH_MB = 8.0
BOUND_MS = 50
IN_FLIGHT = 20
"""Requests to the hanging variant that are sent together."""

console = Console(highlight=False, soft_wrap=True)


def growth_by_loads(server: EmbeddedTriton, client: Client, loads: int) -> list[str]:
    """Load and unload a router; return what the server holds more of."""
    usages = []
    for _ in range(PARTS):
        for _ in range(loads // PARTS):
            client.grpc.load_model("scale")
            client.ask("scale", items(1))
            client.grpc.unload_model("scale")
            until(lambda: state_of(client, "scale") == "UNAVAILABLE")
        usages.append(Usage.of(server))
        console.print(f"{len(usages) * (loads // PARTS)} loads: {usages[-1]}")
    return usages[-1].growth(usages[0], MAX_GROWTH_MB)


def growth_by_hung_requests(server: EmbeddedTriton, client: Client, requests: int) -> list[str]:
    """Let a variant hang twice, each time for so many requests; return what the server holds more of."""
    usages = []
    for _ in range(2):
        latencies_ms = [each for count in _waves(requests - 1) for each in _refused_ms(client, count)]
        cuts = statistics.quantiles(latencies_ms, n=100)
        console.print(f"refused at {BOUND_MS} ms after {cuts[49]:.1f} ms (median), {cuts[98]:.1f} ms (99 %)")
        console.print(f"{requests - 1} requests at a variant that hangs: {Usage.of(server)}")
        client.ask("hangs", items(1))
        client.ask("hung", items(-1))
        usages.append(Usage.of(server))
        console.print(f"after it has answered: {usages[-1]}")
    return usages[1].growth(usages[0], MAX_GROWTH_MB)


def _waves(requests: int) -> list[int]:
    """Return how many requests to send together, one number after the other."""
    return [IN_FLIGHT] * (requests // IN_FLIGHT) + [requests % IN_FLIGHT]


def _refused_ms(client: Client, count: int) -> list[float]:
    """Return after how long each of some requests to the hanging variant was refused."""
    refusals = [_submit_hung(client) for _ in range(count)]
    return [refusal.result() for refusal in refusals]


def _submit_hung(client: Client) -> "Future[float]":
    """Send a request to the hanging variant; return the milliseconds until it is refused."""
    latency_ms: Future[float] = Future()
    started_s = time.perf_counter()

    def refused(answer: "Future[Any]") -> None:
        latency_ms.set_result((time.perf_counter() - started_s) * 1e3)
        assert refusal_of(answer.exception()).status == "UNAVAILABLE"

    client.submit("hung", items(1), timeout=BOUND_MS * 1000).answer.add_done_callback(refused)
    return latency_ms


def run(
    loads: Annotated[int, typer.Option(help="How often to load the router.")] = 10_000,
    requests: Annotated[int, typer.Option(help="Requests to the variant that hangs.")] = 1_000,
) -> None:
    """Print what the server holds; exit with status 1 if it grows."""
    with tempfile.TemporaryDirectory() as folder:
        repository = ModelRepository(Path(folder))
        repository.variant("double", "scaling", factor=2)
        repository.variant("hangs", "gathering", gather=requests)
        repository.router("scale", "double")
        repository.router("hung", "hangs", warmup_batch_sizes="none")
        options = ["--load-model=double", "--load-model=hangs", "--load-model=hung"]
        with (
            EmbeddedTriton(
                repository.folder,
                router_host=RouterHost.NATIVE,
                model_control_mode="explicit",
                extra_arguments=options,
            ) as server,
            closing(Client(server)) as client,
        ):
            grown = growth_by_loads(server, client, loads) + growth_by_hung_requests(server, client, requests)
    console.print(f"grown: {', '.join(grown) or 'nothing'}")
    sys.exit(1 if grown else 0)


if __name__ == "__main__":
    typer.run(run)
