"""Estimates of `model-router replay`, compared with running the policies.

    python -m tests.benchmarks.replay_coverage

Draws traces of 10,000 requests of a logging policy in a simulated world, all with the same arrivals and
sizes. From each, the mean latency of five policies is estimated. The true mean of a policy is that of its own
runs on these arrivals, one for each draw. In the second world the service times are noisier, the CPU has a
cliff and the GPU is throttled for a quarter of the time. A draw takes about 20 s of one core.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from router_tools.off_policy.estimate import Estimate, estimate
from router_tools.off_policy.recording import Recording
from router_tools.simulator.catalog import find
from router_tools.simulator.workload import Workload
from router_tools.simulator.workload_file import read_workload
from router_tools.simulator.world import World
from router_tools.simulator.world_file import read_world
from tests.unit.router_tools.off_policy.recorded_runs import fixed_arrivals, mean_ms, trace

LOGGING = "p2c"
POLICIES = ("latency", "round_robin", "least_request", "static:resnet50_gpu", "peak_ewma")
LOAD = 0.25
REQUESTS = 10_000
NOISE_SIGMA = 0.3


@dataclass(frozen=True)
class Drawn:
    """One draw of a policy: its estimate, and its mean latency when it was run."""

    found: Estimate
    run_ms: float


def steady() -> World:
    """Return four devices with published service times."""
    return read_world(find("worlds", "resnet50")).calm()


def rough() -> World:
    """Return the same with noise, and with the drift of the GPU."""
    world = replace(read_world(find("worlds", "resnet50")), outages=(), stalls=())
    return replace(world, variants=tuple(replace(each, noise_sigma=NOISE_SIGMA) for each in world.variants))


def drawn(world: World, workload: Workload, number: int) -> list[Drawn]:
    """Record a trace, and estimate and run each policy."""
    recording = Recording(world.name, trace(world, workload, LOGGING, 1000 + number))
    return [
        Drawn(estimate(recording, policy, number), mean_ms(world, workload, policy, 2000 + number))
        for policy in POLICIES
    ]


def table(title: str, draws: Sequence[Sequence[Drawn]]) -> Table:
    """Return a row for each policy."""
    found = Table(title=f"{title}, {len(draws)} draws", title_justify="left")
    for column in (
        "policy",
        "true ms",
        "in the interval",
        "one run in it",
        "error",
        "largest",
        "model's error",
    ):
        found.add_column(column, justify="left" if column == "policy" else "right")
    for each in zip(*draws, strict=True):
        found.add_row(*_cells(each))
    return found


def _cells(draws: Sequence[Drawn]) -> Iterator[str]:
    runs_ms = np.array([each.run_ms for each in draws])
    true_ms = float(runs_ms.mean())
    estimates = [each.found for each in draws]
    error = np.abs(np.array([each.mean_ms for each in estimates]) / true_ms - 1.0)
    model = np.abs(np.array([each.model_ms for each in estimates]) / true_ms - 1.0)
    yield estimates[0].policy
    yield f"{true_ms:.2f}"
    yield str(sum(each.low_ms <= true_ms <= each.high_ms for each in estimates))
    yield str(sum(each.found.low_ms <= each.run_ms <= each.found.high_ms for each in draws))
    yield f"{error.mean():.2%}"
    yield f"{error.max():.2%}"
    yield f"{model.mean():.2%}"


def main(
    draws: Annotated[int, typer.Option(help="Number of traces.")] = 100,
    processes: Annotated[int, typer.Option(help="Parallel processes.")] = 1,
) -> None:
    """Print a table for each world."""
    for world in (steady(), rough()):
        workload = replace(read_workload(find("workloads", "poisson")), load=LOAD, requests=REQUESTS)
        workload = fixed_arrivals(world, workload)
        with ProcessPoolExecutor(processes) as pool:
            futures = [pool.submit(drawn, world, workload, number) for number in range(draws)]
            results = [future.result() for future in futures]
        title = f"{world.name}, {'with a drift and noise' if world.drifts else 'steady'}"
        Console(width=100).print(table(title, results))


if __name__ == "__main__":
    typer.run(main)
