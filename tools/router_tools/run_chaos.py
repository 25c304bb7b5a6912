"""`model-router chaos`: try faults of variants on a real server, and see what clients notice."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from router_tools.chaos.faults import FAULTS
from router_tools.chaos.load import Load
from router_tools.chaos.stage import hosts_of, open_stage
from router_tools.chaos.trial import Figures, Trial, try_fault
from router_tools.embedded_triton import RouterHost
from router_tools.errors import ToolError
from router_tools.options import JsonOption, names_in
from router_tools.progress import progress

BROKEN = 2


def chaos(
    faults: Annotated[str, typer.Option(help="Comma-separated faults; default all.")] = "",
    hosts: Annotated[str, typer.Option(help="Comma-separated hosts of the router; default all.")] = "",
    seconds: Annotated[float, typer.Option(min=0.5, help="How long each fault lasts.")] = 15.0,
    tolerance_ms: Annotated[
        float, typer.Option(min=0.0, help="Added to the latency that is allowed, on a busy machine.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Make a variant of a router ill in ten ways, under constant load, and see what clients notice.

    A real server has a router in front of four variants, of which the fastest is made ill. Promised is: no
    request fails, none gets a wrong answer or none at all, none waits longer than a second and three times
    the 99th percentile before, and ten seconds after the fault the variant has its requests again. Exit
    status: 0 if all is kept, 2 if a promise is broken.
    """
    names = names_in(faults) or list(FAULTS)
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise ToolError(f"--faults: expected some of {', '.join(FAULTS)}, found '{unknown[0]}'")
    chosen = hosts_of(names_in(hosts))
    with progress("Faults", len(names) * len(chosen)) as advance:
        trials = list(run(names, chosen, seconds, tolerance_ms, advance))
    if as_json:
        typer.echo(json.dumps([trial.as_json() for trial in trials]))
    else:
        _print(trials)
    if any(trial.broken for trial in trials):
        raise typer.Exit(BROKEN)


def run(
    names: Sequence[str],
    hosts: Sequence[RouterHost],
    seconds: float,
    tolerance_ms: float,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[Trial]:
    """Try faults, on one server for each host.

    Raises:
        ToolError: a server does not start.
    """
    for host in hosts:
        with (
            TemporaryDirectory(prefix="model_router_chaos_") as folder,
            open_stage(Path(folder), host) as stage,
            Load(stage.triton.grpc_url).running() as load,
        ):
            for name in names:
                yield try_fault(stage, load, host.value, name, seconds, tolerance_ms)
                advance()


def _print(trials: Sequence[Trial]) -> None:
    console = Console(highlight=False)
    table = Table(caption="before/during/after the fault; times in ms, shares in %", padding=(0, 0, 0, 1))
    for column in ("host", "fault"):
        table.add_column(column, no_wrap=True)
    for column in ("sent", "lost", "p99", "worst", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("kept", no_wrap=True)
    for trial in trials:
        phases = (trial.before, trial.during, trial.after)
        kept = "[red]no[/red]" if trial.broken else "[green]yes[/green]"
        shares = f"{100 * trial.share_before:.0f}/{100 * trial.share_after:.0f}"
        table.add_row(trial.host, trial.fault, *_row(phases, trial.lost), shares, kept)
    console.print(table)
    for name in dict.fromkeys(trial.fault for trial in trials):
        console.print(f"{name:8}{FAULTS[name].meaning}")
    for trial in trials:
        for broken in trial.broken:
            console.print(f"[red]broken[/red]: {trial.host} host, {trial.fault}: {broken}", soft_wrap=True)
        for error in trial.errors:
            console.print(f"  a client got: {error}", soft_wrap=True, markup=False)


def _row(phases: Sequence[Figures], lost: int) -> list[str]:
    return [
        str(sum(phase.requests for phase in phases)),
        str(lost),
        "/".join(f"{phase.p99_ms:.0f}" for phase in phases),
        "/".join(f"{phase.worst_ms:.0f}" for phase in phases),
    ]
