"""Does a server grow while variants and routers come, go and fall ill under load? `python -m tests.soak`.

The faults of `model-router chaos` are tried in turn, again and again, but for those after which Triton itself
keeps something: 35 threads and 1 MB of shared memory for each process that dies, and the process of a variant
that is unloaded and owes an answer. After each round, the server must hold no more than at the beginning, and
no client may have lost a request.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from router_tools.chaos.faults import FAULTS
from router_tools.chaos.load import Load
from router_tools.chaos.stage import SERVICE_MS, Stage, hosts_of, open_stage
from router_tools.embedded_triton import RouterHost
from router_tools.options import names_in
from tests.integration.client import until
from tests.usage import Usage

SOAKED = [FAULTS[name] for name in FAULTS if name not in ("kill", "hang", "silent")]
FAULT_S = 1.0
REST_S = 3.0
"""How long nothing happens before the server is looked at: calls that were made to an ill variant end."""
LOOKS, LOOK_AGAIN_S = 8, 0.2
MAX_GROWTH_MB = 16.0
"""By how much the heaps of six processes vary."""

console = Console(highlight=False, soft_wrap=True)


class Soak(NamedTuple):
    """What came of it.

    Args:
        requests: how many requests clients have sent.
        errors: the errors that they got.
        usages: what the server held after each round.
    """

    requests: int
    errors: list[str]
    usages: list[Usage]

    def growth(self, spare: int = 1) -> list[str]:
        """Return what the server held more of in the last third than in the first, as `Usage.growth`."""
        third = max(1, len(self.usages) // 3)
        return least(self.usages[-third:]).growth(least(self.usages[:third]), MAX_GROWTH_MB, spare)


def soak(host: RouterHost, seconds: float) -> Soak:
    """Let the faults happen in turn for some time; print what the server holds after each round."""
    with (
        tempfile.TemporaryDirectory(prefix="model_router_soak_") as folder,
        open_stage(Path(folder), host) as stage,
        Load(stage.triton.grpc_url).running() as load,
    ):
        usages: list[Usage] = []
        started_s = time.monotonic()
        while time.monotonic() < started_s + seconds or not usages:
            for fault in SOAKED:
                fault.run(stage, FAULT_S)
            rest(stage)
            usages.append(held(stage))
            console.print(f"{host.value} {time.monotonic() - started_s:5.0f} s: {usages[-1]}")
        errors = [each.error for each in load.seen if each.error]
        return Soak(len(load.seen), errors + stage.crowd.errors, usages)


def rest(stage: Stage) -> None:
    """Wait until all variants are loaded and nothing is left of the faults."""
    until(lambda: all(map(stage.client.is_model_ready, SERVICE_MS)) and not stage.crowd.waiting)
    time.sleep(REST_S)


def held(stage: Stage) -> Usage:
    """Return what the server holds when it does nothing beside the load: a probe has a thread of its own."""
    looks = []
    for _ in range(LOOKS):
        looks.append(Usage.of(stage.triton))
        time.sleep(LOOK_AGAIN_S)
    return least(looks)


def least(usages: Sequence[Usage]) -> Usage:
    """Return the least of each."""
    return Usage(
        min(each.memory_mb for each in usages),
        min(each.shared_mb for each in usages),
        min(each.threads for each in usages),
        min(each.files for each in usages),
        min(each.processes for each in usages),
    )


def run(
    minutes: Annotated[float, typer.Option(help="How long, on each host.")] = 20.0,
    hosts: Annotated[str, typer.Option(help="Comma-separated hosts of the router; default all.")] = "",
) -> None:
    """Print what the server holds; exit with status 1 if it grows or a request is lost."""
    found = [soak(host, minutes * 60.0) for host in hosts_of(names_in(hosts))]
    for each in found:
        console.print(
            f"{each.requests} requests, {len(each.errors)} lost; grown: {each.growth() or 'nothing'}"
        )
        for error in dict.fromkeys(each.errors):
            console.print(f"  a client got: {error}", markup=False)
    sys.exit(1 if any(each.growth() or each.errors for each in found) else 0)


if __name__ == "__main__":
    typer.run(run)
