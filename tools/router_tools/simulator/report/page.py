"""Self-contained HTML report with tables and plots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from router_tools.simulator.capacity import capacity_per_s, offered_load, variant_capacity_per_s
from router_tools.simulator.comparison import Comparison
from router_tools.simulator.policy_choice import ORACLES
from router_tools.simulator.report.html import TEMPLATES, embedded, render, write
from router_tools.simulator.report.plots.calibration import calibration_plot
from router_tools.simulator.report.plots.ecdf import ecdf_plot
from router_tools.simulator.report.plots.latency import latency_plot
from router_tools.simulator.report.plots.regret import regret_plot
from router_tools.simulator.report.plots.shares import shares_plot
from router_tools.simulator.report.plots.style import focus
from router_tools.simulator.report.ranking import ranking
from router_tools.simulator.report.table import columns_of
from router_tools.simulator.suite import Outcome
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import WorldVariant


@dataclass(frozen=True)
class Plot:
    """A plot on the page.

    Args:
        title: the title.
        reading: how to read the plot.
        figure: draws the plot of a comparison.
        wide: whether the plot takes the full width of the page.
    """

    title: str
    reading: str
    figure: Callable[[Comparison], go.Figure]
    wide: bool = False


_PLOTS = (
    Plot("Latency over time", "Mean latency by arrival time, on a logarithmic scale.", latency_plot),
    Plot(
        "Cumulative regret",
        "Flat: as good as the oracle, which knows the future. Falling: better than the greedy oracle.",
        regret_plot,
    ),
    Plot(
        "Answers by variant",
        "Shares of the answers over the run, in seconds. They shift when events occur.",
        shares_plot,
        wide=True,
    ),
    Plot("Distribution of latency", "Share of requests answered within a time.", ecdf_plot),
    Plot(
        "Predicted and observed",
        "Executions after the first 50 of each variant; predictions on the line are exact.",
        calibration_plot,
    ),
)


def write_page(
    path: Path, title: str, comparisons: Sequence[Comparison], outcomes: Sequence[Outcome]
) -> None:
    """Write the page to a file.

    Raises:
        ToolError: the file cannot be written.
    """
    write(path, render_page(title, comparisons, outcomes))


def render_page(title: str, comparisons: Sequence[Comparison], outcomes: Sequence[Outcome]) -> str:
    """Return the page as HTML."""
    return render(
        TEMPLATES / "page.html.j2",
        title=title,
        cases=[_case(number, comparison, outcomes) for number, comparison in enumerate(comparisons)],
        outcomes=outcomes,
    )


def _case(number: int, comparison: Comparison, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    case = comparison.case
    case_outcomes = [outcome for outcome in outcomes if outcome.case == case.name]
    return {
        "id": f"case-{number}",
        "name": case.name,
        "world": case.world,
        "workload": case.workload,
        "focus": focus(comparison),
        "seeds": len(comparison.seeds),
        "load": offered_load(case.world, case.workload),
        "capacity_per_s": capacity_per_s(case.world, case.workload),
        "variants": [_variant(variant, case.workload) for variant in case.world.variants],
        "columns": columns_of(comparison),
        "rows": [(policy, figures, policy in ORACLES) for policy, figures in ranking(comparison)],
        "outcomes": case_outcomes,
        "met": all(outcome.met for outcome in case_outcomes) if case_outcomes else None,
        "plots": [_plot(plot, comparison) for plot in _PLOTS],
    }


def _variant(variant: WorldVariant, workload: Workload) -> dict[str, Any]:
    capacity = variant_capacity_per_s(variant, workload)
    return {
        "truth": variant,
        "capacity_per_s": capacity,
        "examples_ms": [(size, variant.law.mean_ms(size, workload.usual_length)) for size in (1, 8, 32)],
    }


def _plot(plot: Plot, comparison: Comparison) -> dict[str, Any]:
    figure = embedded(plot.figure(comparison))
    return {"title": plot.title, "reading": plot.reading, "wide": plot.wide, "json": figure}
