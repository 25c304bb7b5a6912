"""What first calls cost that are 20 to 100 times slower, in random worlds, if clients pay for them.

    python -m tests.benchmarks.cold_worlds

In each world, two to four variants on random devices answer 20 requests a second. In worlds `by kind`, the
service times follow the usual order of the kinds of devices; in worlds `any`, they do not depend on them.
The mean latency of 4,000 requests is compared with that of `sed`. Each variant's first call must be made by
somebody: the part of the difference that these calls are is unavoidable for a router that measures every
variant. A world takes about a second.
"""

import random
from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from router_backend.core.choosing.cold_start import USUAL_SLOWNESS
from router_backend.core.records.variant import Device
from router_tools.simulator.capacity import capacity_per_s
from router_tools.simulator.catalog import find
from router_tools.simulator.record import RunRecord
from router_tools.simulator.run import run
from router_tools.simulator.service_law import AffineServiceLaw
from router_tools.simulator.workload import Workload
from router_tools.simulator.workload_file import read_workload
from router_tools.simulator.world import World, WorldVariant

REQUESTS = 4000
PER_S = 20.0
MAX_LOAD = 0.5
COLD_FACTORS = (20, 50, 100)
NOISE_SIGMA = 0.05
SPREAD_BY_KIND, SPREAD_ANY = 0.7, 1.0
"""Standard deviation of ln(service time)."""


class Found(NamedTuple):
    """One world: mean latency relative to that of `sed`, the part of the first calls, and the share of the
    right variant from the 101st request on."""

    ratio: float
    first_calls: float
    right: float


def world_of(seed: int, *, by_kind: bool) -> World:
    """Return a random world."""
    rng = random.Random(seed)
    fastest_ms = rng.choice((1.0, 2.0, 4.0, 8.0))
    variants = []
    for number in range(rng.choice((2, 3, 4))):
        device = rng.choice((Device.GPU, Device.CPU, Device.MPS, Device.NEURAL_ENGINE))
        usual_ms = fastest_ms * (USUAL_SLOWNESS[device] if by_kind else 2.0)
        service_ms = usual_ms * rng.lognormvariate(0.0, SPREAD_BY_KIND if by_kind else SPREAD_ANY)
        variants.append(_variant(f"v{number}", device, service_ms, rng.choice(COLD_FACTORS)))
    return World("cold", "First calls are slow.", tuple(variants))


def _variant(name: str, device: Device, service_ms: float, cold_factor: float) -> WorldVariant:
    law = AffineServiceLaw(service_ms, 0.0)
    return WorldVariant(name, device, 1, 1, 0, law, NOISE_SIGMA, None, None, 0.0, cold_factor=cold_factor)


def compared(world: World, workload: Workload, seed: int) -> Found:
    """Run the policy `latency` and `sed`."""
    load = min(PER_S / capacity_per_s(world, workload), MAX_LOAD)
    workload = replace(workload, load=load, requests=REQUESTS, copies=False, warm_up_batch_sizes=())
    sed, ours = (run(world, workload, policy, seed) for policy in ("sed", "latency"))
    sed_ms = float(sed.latency_ms.sum())
    later = ours.executions[ours.executions["request"] >= 100]
    return Found(
        float(ours.latency_ms.sum()) / sed_ms,
        (_first_calls_ms(world, ours) - _first_calls_ms(world, sed)) / sed_ms,
        float((later["variant"] == ours.best[later["request"]]).mean()),
    )


def _first_calls_ms(world: World, record: RunRecord) -> float:
    """Return what the first calls take of the variants that a run used."""
    used = set(record.executions["variant"].tolist())
    return sum(world.variants[each].cold_factor * world.variants[each].law.mean_ms(1, 1) for each in used)


def main(worlds: Annotated[int, typer.Option(help="Number of worlds of each kind.")] = 40) -> None:
    """Print a table."""
    workload = read_workload(find("workloads", "single"))
    table = Table(title=f"{worlds} worlds of each kind", title_justify="left")
    for column in ("worlds", "mean : sed", "median", "90 %", "of it, first calls", "above 1.15", "right"):
        table.add_column(column)
    for by_kind in (True, False):
        found = [compared(world_of(seed, by_kind=by_kind), workload, seed) for seed in range(worlds)]
        ratios = np.array([each.ratio for each in found])
        table.add_row(
            "by kind" if by_kind else "any",
            f"{ratios.mean():.3f}",
            f"{np.median(ratios):.3f}",
            f"{np.percentile(ratios, 90):.3f}",
            f"{np.mean([each.first_calls for each in found]):.3f}",
            f"{np.mean(ratios > 1.15):.0%}",
            f"{np.mean([each.right for each in found]):.1%}",
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
