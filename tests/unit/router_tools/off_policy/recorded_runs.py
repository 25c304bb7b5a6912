"""Traces of simulated runs, and the worlds and workloads that they come from."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from router_backend.runtime.trace_entry import entry_of
from router_backend.typed_load import given, load
from router_tools.simulator.draw import draw
from router_tools.simulator.run import run
from router_tools.simulator.schema.trace import TraceLine
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.workload import Recorded, Workload
from router_tools.simulator.world import World


def fixed_arrivals(world: World, workload: Workload, seed: int = 0) -> Workload:
    """Return the workload with the arrivals and sizes of one seed for every seed."""
    drawn = draw(world, workload, seed).requests
    arrivals = Recorded(drawn.arrival_s, drawn.batch_size, drawn.sequence_length)
    return replace(workload, arrivals=arrivals, load=None)


def entries(world: World, workload: Workload, policy: str, seed: int) -> list[dict[str, Any]]:
    """Return the lines of the trace of a run."""
    lines: list[dict[str, Any]] = []
    run(world, workload, policy, seed, observe=lambda traced: lines.append(entry_of(traced)))
    return lines


def trace(world: World, workload: Workload, policy: str, seed: int) -> list[TracedRequest]:
    """Return the trace of a run, in the order of arrival."""
    read: Callable[[dict[str, Any]], TraceLine] = lambda entry: load(TraceLine, entry)  # noqa: E731
    requests = [TracedRequest(**given(read(entry))) for entry in entries(world, workload, policy, seed)]
    return sorted(requests, key=lambda request: request.arrival_s)


def mean_ms(world: World, workload: Workload, policy: str, seed: int) -> float:
    """Return the mean latency of a run of a policy."""
    return float(np.nanmean(run(world, workload, policy, seed).latency_ms))
