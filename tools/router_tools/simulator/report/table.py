"""Tables of a comparison for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from router_tools.simulator.capacity import offered_load
from router_tools.simulator.comparison import Comparison
from router_tools.simulator.policy_choice import ORACLES
from router_tools.simulator.report.columns import COLUMNS, Column, ratio, write
from router_tools.simulator.report.ranking import ranking
from router_tools.simulator.suite import Outcome


def comparison_table(comparison: Comparison) -> Table:
    """Return a table with one row per policy, best first; values are means over the seeds."""
    case = comparison.case
    table = _table(
        f"{case.name}: load {offered_load(case.world, case.workload):.2g}, "
        f"{case.workload.requests:,} requests, mean of {len(comparison.seeds)} seeds"
    )
    table.add_column("policy", no_wrap=True)
    columns = columns_of(comparison)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    for policy, figures in ranking(comparison):
        cells = [column.write(figures[column.figure]) for column in columns]
        table.add_row(policy, *cells, style="bold" if policy in ORACLES else None)
    return table


def columns_of(comparison: Comparison) -> list[Column]:
    """Return the columns that are relevant for a comparison."""
    refusing = comparison.case.workload.refuse_late
    with_deadline = comparison.case.workload.told_deadline
    unanswered = any(metrics.answered < 1.0 for runs in comparison.metrics.values() for metrics in runs)
    unmetered = any(variant.power_w is None for variant in comparison.case.world.variants)
    hidden = {
        "best_after_100": refusing,
        "best_after_events": refusing or comparison.case.world.calm_from == 0.0,
        "in_time_preferred": len(comparison.case.workload.priorities) == 1,
        "goodput_ratio": not refusing,
        "refused": not refusing,
        "answered": not unanswered,
        "makespan_s": offered_load(comparison.case.world, comparison.case.workload) < 1.0,
        "energy_j": unmetered,
        "energy_in_time_j": unmetered or not with_deadline,
        "balanced": unmetered,
        "balanced_in_time": unmetered or not with_deadline,
    }
    return [column for column in COLUMNS if not hidden.get(column.figure, False)]


def targets_table(outcomes: Sequence[Outcome]) -> Table:
    """Return a table of targets and their outcomes."""
    table = _table("Targets")
    for title in ("case", "policy", "figure", "target", "found", ""):
        table.add_column(title, justify="right" if title == "found" else "left", no_wrap=True)
    last = None
    for outcome in outcomes:
        target = outcome.target
        mark = Text("met", "green") if outcome.met else Text("missed", "bold red")
        if outcome.rival is not None:
            mark.append(f" (next: {outcome.rival})", "dim")
        case = outcome.case if outcome.case != last else ""
        last = outcome.case
        value = write(target.figure, outcome.value) if target.relative_to is None else ratio(outcome.value)
        table.add_row(case, target.policy, target.figure, str(target), value, mark)
    met = sum(outcome.met for outcome in outcomes)
    table.caption = f"{met} of {len(outcomes)} met"
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
