"""Policies on the real server, in front of emulated devices, beside the simulator's word on them.

    python -m tests.benchmarks.emulated_devices [--events] [--policies latency,peak_ewma] [--seeds 2] [--json]

A world of the simulator is served by a real Triton: each variant is an emulated device, which answers truly
and takes the time that it is told. Requests come at the simulator's times and sizes, and each brings the
service times that the simulator drew for it, so that every policy meets the same requests, there and here.
Each policy has a router of its own, loaded anew for each run, warmed up, and alone with the variants.

The oracle is simulated: nothing knows the future of a real server. To its mean is added what the way through
the server costs (client, router, variant and back), measured on the idle server.

In slow motion, services and the times between requests take longer alike, so that a machine that others use
as well disturbs them less.

With events, a drift or an outage strikes the requests that arrive while it lasts; in the simulator it
strikes those that are being served.
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
    policies: Annotated[str, typer.Option(help="Policies, with commas between.")] = POLICIES,
    load: Annotated[float, typer.Option(help="Share of the world's capacity.")] = 0.45,
    requests: Annotated[int, typer.Option(help="Requests of one run.")] = 1000,
    slow_motion: Annotated[float, typer.Option(help="How many times longer everything takes.")] = 3.0,
    seeds: Annotated[int, typer.Option(help="Runs of each policy.")] = 1,
    events: Annotated[bool, typer.Option("--events", help="With the world's drift and outage.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Run every policy on the server and in the simulator and print both rankings."""
    chosen = [name.strip() for name in policies.split(",")]
    place = read_world(find("worlds", world))
    place = in_slow_motion(replace(place, stalls=()) if events else place.calm(), slow_motion)
    workload = replace(read_workload(find("workloads", "poisson")), load=load, requests=requests)
    measured: dict[str, list[Measured]] = {policy: [] for policy in chosen}
    runs = [(seed, policy) for seed in range(seeds) for policy in chosen]
    with serve(place, chosen) as server:
        hops_ms = [server.hop_ms(chosen[0])]
        for seed, policy in track(runs, "runs", console=Console(stderr=True)):
            with server.router(policy) as router:
                measured[policy].append(measure(router, place, workload, policy, seed))
        hops_ms.append(server.hop_ms(chosen[0]))
    rankings = Rankings(measured, hops_ms)
    if as_json:
        typer.echo(json.dumps(rankings.as_json(), indent=2))
    else:
        Console(width=140).print(rankings.table())


if __name__ == "__main__":
    typer.run(run)
