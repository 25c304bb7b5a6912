"""Warms up each variant before the run, through the router with the others excluded, as the server does."""

from dataclasses import replace

import numpy as np

from router_tools.simulator.agenda import Agenda
from router_tools.simulator.draw import Requests, noise
from router_tools.simulator.jobs import routed_jobs
from router_tools.simulator.randomness import stream
from router_tools.simulator.simulation import Simulation
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World, WorldVariant


def warm_up(world: World, workload: Workload, seed: int, simulation: Simulation, agenda: Agenda) -> None:
    """Send the workload's warm-up batches to each variant, one request at a time."""
    for variant in world.variants:
        requests = _requests(variant, workload, seed)
        for job in routed_jobs(replace(world, variants=(variant,)), workload, requests, simulation):
            job.index = job.WARM_UP
            job.context = replace(
                job.context, allowed_variants=frozenset({variant.name}), max_latency_ms=None, warmup=True
            )
            simulation.arrive(job)
            agenda.run_out()


def reference_length(workload: Workload, requests: Requests) -> int:
    """Return the sequence length of the first request that the router sees."""
    if workload.warm_up_batch_sizes:
        return workload.usual_length
    return int(requests.sequence_length[0])


def _requests(variant: WorldVariant, workload: Workload, seed: int) -> Requests:
    """Return the batches, none above the variant's maximum."""
    batch_sizes = np.array(workload.warm_up_batch_sizes, dtype=int)
    count = len(batch_sizes)
    return Requests(
        arrival_s=np.zeros(count),
        batch_size=np.minimum(batch_sizes, variant.max_batch_size or batch_sizes),
        sequence_length=np.full(count, workload.usual_length),
        noise={variant.name: noise(variant, count, stream(seed, "warm-up", variant.name))},
    )
