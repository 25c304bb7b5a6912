"""Comparison of policies on a real server with emulated devices and in the simulator.

    python -m tests.benchmarks.emulated_devices [--events] [--policies latency,peak_ewma] [--seeds 2] [--json]

A real Triton serves a world of the simulator: each variant is an emulated device, with real outputs and the
service times that the request asks for. Requests have the simulator's arrival times and sizes, and carry the
service times that the simulator drew for them, so every policy gets the same requests, on the server and in
the simulator. Each policy has its own router, which is loaded and warmed up for each run, and unloaded after
it.

The oracle is simulated, since the future of a real server is unknown. The overhead of the server (client,
router, variant and back), measured while it is idle, is added to the oracle's mean.

Slow motion scales service times and the times between requests, to reduce the effect of other load on the
machine.

With events, a drift or an outage affects the requests that arrive during it; in the simulator, it affects the
requests in service.
"""

import json
from dataclasses import replace
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from router_tools.simulator.catalog import find
from router_tools.simulator.oracle import Oracle
from router_tools.simulator.run import run as simulate
from router_tools.simulator.workload import Workload
from router_tools.simulator.workload_file import read_workload
from router_tools.simulator.world import World
from router_tools.simulator.world_file import read_world
from tests.benchmarks.emulated_requests import in_slow_motion, timed_requests
from tests.benchmarks.emulated_server import serve
from tests.benchmarks.open_loop import OpenLoop
from tests.benchmarks.rankings import Measured, Rankings

POLICIES = "latency, peak_ewma, prequal, c3, least_request, p2c, round_robin"


def measure(router: OpenLoop, world: World, workload: Workload, policy: str, seed: int) -> Measured:
    """Run a policy on the server and in the simulator."""
    outcome = router.run(timed_requests(world, workload, seed))
    return Measured(
        mean_ms=float(np.nanmean(outcome.latency_ms)),
        p99_ms=float(np.nanpercentile(outcome.latency_ms, 99)),
        simulated_mean_ms=float(np.nanmean(simulate(world, workload, policy, seed).latency_ms)),
        oracle_mean_ms=float(np.nanmean(simulate(world, workload, Oracle.name, seed).latency_ms)),
        late_p99_ms=float(np.percentile(outcome.late_ms, 99)),
        failed=len(outcome.errors),
    )


def run(
    world: Annotated[str, typer.Option(help="Name of a world, or path of its file.")] = "resnet50",
    policies: Annotated[str, typer.Option(help="Comma-separated policies.")] = POLICIES,
    load: Annotated[float, typer.Option(help="Load as a fraction of the world's capacity.")] = 0.45,
    requests: Annotated[int, typer.Option(help="Requests per run.")] = 1000,
    slow_motion: Annotated[float, typer.Option(help="Factor on all times.")] = 3.0,
    seeds: Annotated[int, typer.Option(help="Runs per policy.")] = 1,
    events: Annotated[bool, typer.Option("--events", help="Include the world's drifts and outages.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Run each policy on the server and in the simulator, and print both rankings."""
    chosen = [name.strip() for name in policies.split(",")]
    read = read_world(find("worlds", world))
    slowed = in_slow_motion(replace(read, stalls=()) if events else read.calm(), slow_motion)
    workload = replace(read_workload(find("workloads", "poisson")), load=load, requests=requests)
    measured: dict[str, list[Measured]] = {policy: [] for policy in chosen}
    runs = [(seed, policy) for seed in range(seeds) for policy in chosen]
    with serve(slowed, chosen) as server:
        hops_ms = [server.hop_ms(chosen[0])]
        for seed, policy in track(runs, "runs", console=Console(stderr=True)):
            with server.router(policy) as router:
                measured[policy].append(measure(router, slowed, workload, policy, seed))
        hops_ms.append(server.hop_ms(chosen[0]))
    rankings = Rankings(measured, hops_ms)
    if as_json:
        typer.echo(json.dumps(rankings.as_json(), indent=2))
    else:
        Console(width=140).print(rankings.table())


if __name__ == "__main__":
    typer.run(run)
