"""`model-router replay`: what other policies would have cost on a recorded trace."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from router_tools.errors import warn
from router_tools.off_policy.estimate import Estimate, estimate
from router_tools.off_policy.limits import check_propensities, limits
from router_tools.off_policy.recording import Recording
from router_tools.off_policy.report import as_json, estimates_table
from router_tools.simulator.policy_choice import all_policies, check_policies
from router_tools.simulator.trace import read_trace

_WIDTH = 80


def replay(
    trace: Annotated[Path, typer.Option(help="A trace, recorded with the router's setting trace_file.")],
    policies: Annotated[str, typer.Option(help="Comma-separated policies; default all.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of resampling and simulation.")] = 0,
    processes: Annotated[int, typer.Option(min=1, help="Parallel processes.")] = os.cpu_count() or 1,
    as_json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Estimate the mean latency that other policies would have had on a recorded trace.

    Each gets a model-based estimate, and a doubly robust one with a 95 % interval.
    """
    recording = Recording(str(trace), read_trace(trace))
    check_propensities(recording)
    world = recording.world()
    chosen = [name.strip() for name in policies.split(",") if name.strip()]
    check_policies(chosen, world)
    estimates = _estimate(recording, chosen or all_policies(world, recording.workload()), seed, processes)
    found = limits(recording, estimates)
    if as_json_:
        typer.echo(json.dumps(as_json(recording, estimates, found), indent=2))
        return
    console = Console()
    console = console if console.is_terminal else Console(width=_WIDTH)
    console.print(estimates_table(recording, estimates))
    for each in found:
        warn(each)


def _estimate(recording: Recording, policies: Sequence[str], seed: int, processes: int) -> list[Estimate]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Estimating", total=len(policies))
        if processes == 1 or len(policies) == 1:
            estimates = []
            for policy in policies:
                estimates.append(estimate(recording, policy, seed))
                progress.advance(task)
            return estimates
        # Spawn instead of fork: a forked process would inherit the state of the progress bar's thread.
        with ProcessPoolExecutor(min(processes, len(policies)), get_context("spawn")) as pool:
            futures = [pool.submit(estimate, recording, policy, seed) for policy in policies]
            for _ in as_completed(futures):
                progress.advance(task)
            return [future.result() for future in futures]
