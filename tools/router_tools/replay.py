"""`model-router replay`: what other policies would have cost on a recorded trace."""

import json
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from router_tools.errors import print_error, warn
from router_tools.off_policy.estimate import NoEstimate, try_estimate
from router_tools.off_policy.limits import check_propensities, limits
from router_tools.off_policy.page import write_page
from router_tools.off_policy.recording import Recording
from router_tools.off_policy.report import Result, as_json, errors, estimates_table, ranked
from router_tools.options import (
    PROCESSES,
    HtmlOption,
    JsonOption,
    PoliciesOption,
    ProcessesOption,
    check_html,
    names_in,
)
from router_tools.progress import progress
from router_tools.simulator.policy_choice import all_policies
from router_tools.simulator.trace import read_trace

_WIDTH = 80
_WIDEST = 10_000

TraceOption = Annotated[Path, typer.Option(help="A trace, recorded with the router's setting trace_file.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of resampling and simulation.")]


def replay(
    trace: TraceOption,
    policies: PoliciesOption = "",
    seed: SeedOption = 0,
    processes: ProcessesOption = PROCESSES,
    as_json_: JsonOption = False,
    html: HtmlOption = None,
) -> None:
    """Estimate the mean latency that other policies would have had on a recorded trace.

    Each gets a model-based estimate, and a doubly robust one with a 95 % interval.

    Exit status: 0, or 1 if a policy has no estimate, after the others.
    """
    check_html(html)
    recording = Recording(str(trace), read_trace(trace))
    check_propensities(recording)
    world = recording.world()
    chosen = names_in(policies)
    results = _estimate(recording, chosen or all_policies(world, recording.workload()), seed, processes)
    found = limits(recording, ranked(results))
    if html is not None:
        write_page(html, recording, results, found)
    if as_json_:
        typer.echo(json.dumps(as_json(recording, results, found), indent=2))
    else:
        _print(recording, results, found)
    if errors(results):
        raise typer.Exit(1)


def _print(recording: Recording, results: Sequence[Result], found: Sequence[str]) -> None:
    console = Console()
    table = estimates_table(recording, results)
    if not console.is_terminal:
        unlimited = console.options.update(max_width=_WIDEST)
        console = Console(width=max(_WIDTH, console.measure(table, options=unlimited).maximum))
    console.print(table)
    for each in found:
        warn(each)
    for error in errors(results):
        print_error(f"{error.policy}: {error.error}")


def _estimate(recording: Recording, policies: Sequence[str], seed: int, processes: int) -> list[Result]:
    with progress("Estimating", len(policies)) as advance:
        if processes == 1 or len(policies) == 1:
            results = []
            for policy in policies:
                results.append(try_estimate(recording, policy, seed))
                advance()
            return results
        # Spawn instead of fork: a forked process would inherit the state of the progress bar's thread.
        with ProcessPoolExecutor(min(processes, len(policies)), get_context("spawn")) as pool:
            futures = {policy: pool.submit(try_estimate, recording, policy, seed) for policy in policies}
            for _ in as_completed(futures.values()):
                advance()
            return [_result(policy, future) for policy, future in futures.items()]


def _result(policy: str, future: Future[Result]) -> Result:
    try:
        return future.result()
    except BrokenProcessPool:
        return NoEstimate(policy, "expected a process that ends by itself, found one that was killed")
