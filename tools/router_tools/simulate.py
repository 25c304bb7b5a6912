"""`model-router simulate`: comparison of routing policies in simulated worlds."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from router_backend.core.policies.registry import POLICIES
from router_tools.errors import ToolError
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
from router_tools.simulator.catalog import find, names
from router_tools.simulator.comparison import Case, Comparison, compare
from router_tools.simulator.document import read_document
from router_tools.simulator.empirical_world import empirical_world
from router_tools.simulator.policy_choice import ORACLES, all_policies
from router_tools.simulator.recorded import recorded_workload
from router_tools.simulator.report.as_json import as_json
from router_tools.simulator.report.page import write_page
from router_tools.simulator.report.table import comparison_table, targets_table
from router_tools.simulator.schema.suite import SuiteFile
from router_tools.simulator.schema.workload import WorkloadFile
from router_tools.simulator.schema.world import WorldFile
from router_tools.simulator.suite import Outcome, SuiteCase, judge
from router_tools.simulator.suite_file import read_suite
from router_tools.simulator.trace import TracedRequest, read_trace
from router_tools.simulator.workload import Workload
from router_tools.simulator.workload_file import read_workload
from router_tools.simulator.world import World
from router_tools.simulator.world_file import read_world

_WORLD = "resnet50"
_WORKLOAD = "poisson"
_OF_ONE_CASE = ("world", "workload", "trace", "policies", "load", "requests", "calm", "cold")
_WIDTH_OF_A_FILE = 160
FILES: dict[str, type[WorldFile | WorkloadFile | SuiteFile]] = {
    "worlds": WorldFile,
    "workloads": WorkloadFile,
    "suites": SuiteFile,
}
_TITLE = "Routing policies compared"


WorldOption = Annotated[str, typer.Option(help=f"Name of a world, or path of its file; default {_WORLD}.")]
WorkloadOption = Annotated[str, typer.Option(help=f"Name of a workload, or path; default {_WORKLOAD}.")]
TraceOption = Annotated[
    Path | None,
    typer.Option(help="Repeat the requests of a trace, in a world fitted to it unless --world is given."),
]
LoadOption = Annotated[
    float | None, typer.Option(min=0.01, max=1000, help="Load as a fraction of the world's capacity.")
]
RequestsOption = Annotated[int | None, typer.Option(min=1, max=10**8, help="Number of requests.")]
CalmOption = Annotated[bool, typer.Option("--calm", help="Leave out drifts, outages and stalls.")]
ColdOption = Annotated[bool, typer.Option("--cold", help="Skip the warm-up.")]
SuiteOption = Annotated[str, typer.Option(help="Name of a suite of cases, or path of its file.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Number of seeds.")]
ListOption = Annotated[bool, typer.Option("--list", help="List worlds, workloads, suites and policies.")]


class _Recorded(NamedTuple):
    """The name of a trace, and its requests."""

    name: str
    requests: Sequence[TracedRequest]


def simulate(
    context: typer.Context,
    world: WorldOption = "",
    workload: WorkloadOption = "",
    trace: TraceOption = None,
    policies: PoliciesOption = "",
    load: LoadOption = None,
    requests: RequestsOption = None,
    calm: CalmOption = False,
    cold: ColdOption = False,
    suite: SuiteOption = "",
    seeds: SeedsOption = 6,
    processes: ProcessesOption = PROCESSES,
    as_json_: JsonOption = False,
    html: HtmlOption = None,
    list_: ListOption = False,
) -> None:
    """Compare routing policies in simulated worlds with an oracle that knows the future.

    Exit status: 0, or 2 if a target of the suite was missed.
    """
    if list_:
        _print_list()
        return
    _check_options(context)
    if suite:
        cases = read_suite(find("suites", suite))
    else:
        recorded = None if trace is None else _Recorded(trace.stem, read_trace(trace))
        requested = _workload(workload, recorded, load, requests, cold=cold)
        cases = [SuiteCase(_case(_world(world, recorded, calm=calm), requested, policies), ())]
    comparisons = _compare([entry.case for entry in cases], seeds, processes)
    _report(cases, comparisons, html, as_json_=as_json_)


def _report(
    cases: Sequence[SuiteCase], comparisons: Sequence[Comparison], html: Path | None, *, as_json_: bool
) -> None:
    """Write and print the results.

    Raises:
        Exit: a target was missed.
    """
    outcomes = [
        outcome
        for entry, comparison in zip(cases, comparisons, strict=True)
        for outcome in judge(entry, comparison)
    ]
    if html is not None:
        write_page(html, _TITLE, comparisons, outcomes)
    if as_json_:
        typer.echo(json.dumps(as_json(comparisons, outcomes), indent=2))
    else:
        _print_tables(comparisons, outcomes)
    if not all(outcome.met for outcome in outcomes):
        raise typer.Exit(2)


def _check_options(context: typer.Context) -> None:
    """Reject options that another one overrides, and an HTML file in a folder that does not exist."""
    given = [name for name in context.params if _is_given(context, name)]
    for name, overridden in (("suite", _OF_ONE_CASE), ("trace", ("workload",))):
        unused = [other for other in overridden if name in given and other in given]
        if unused:
            raise ToolError(f"--{name} and --{unused[0]} cannot be combined: remove --{unused[0]}")
    check_html(context.params["html"])


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _workload(
    name: str, recorded: _Recorded | None, load: float | None, requests: int | None, *, cold: bool
) -> Workload:
    if recorded is None:
        workload = read_workload(find("workloads", name or _WORKLOAD))
    else:
        workload = recorded_workload(*recorded)
    if load is not None:
        workload = replace(workload, load=load)
    if requests is not None:
        workload = replace(workload, requests=requests)
    return replace(workload, warm_up_batch_sizes=()) if cold else workload


def _world(name: str, recorded: _Recorded | None, *, calm: bool) -> World:
    if recorded is not None and not name:
        return empirical_world(*recorded)
    world = read_world(find("worlds", name or _WORLD))
    return world.calm() if calm else world


def _case(world: World, workload: Workload, policies: str) -> Case:
    name = f"{world.name}, {workload.name}"
    return Case(name, world, workload, tuple(names_in(policies) or all_policies(world, workload)))


def _compare(cases: list[Case], seeds: int, processes: int) -> list[Comparison]:
    with progress("Simulating", len(cases) * seeds) as advance:
        return compare(cases, range(seeds), processes, advance)


def _print_tables(comparisons: Sequence[Comparison], outcomes: Sequence[Outcome]) -> None:
    console = _console()
    for comparison in comparisons:
        console.print(comparison_table(comparison))
    if outcomes:
        console.print(targets_table(outcomes))


def _print_list() -> None:
    console = _console()
    for kind, file in FILES.items():
        console.print(f"[bold]{kind}[/]")
        for name in names(kind):
            description = read_document(find(kind, name), file).content.description
            console.print(f"  {name:20} {description}", highlight=False)
    console.print("[bold]policies[/]")
    console.print(f"  {', '.join((*ORACLES, *POLICIES))}", highlight=False)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_A_FILE)
