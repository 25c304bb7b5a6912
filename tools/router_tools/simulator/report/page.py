"""A comparison as one page that needs nothing else: tables, and plots to look at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from router_tools.errors import ToolError
from router_tools.simulator.capacity import capacity_per_s, offered_load, variant_capacity_per_s
from router_tools.simulator.comparison import Comparison
from router_tools.simulator.policy_choice import ORACLES
from router_tools.simulator.report.columns import title as title_of
from router_tools.simulator.report.columns import write
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

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Plot:
    """A plot on the page.

    Args:
        title: what it shows.
        reading: how to read it.
        figure: draws it.
        wide: whether it takes the page's width.
    """

    title: str
    reading: str
    figure: Callable[[Comparison], go.Figure]
    wide: bool = False


_PLOTS = (
    Plot("Latency over time", "Mean by when requests came; a logarithmic scale.", latency_plot),
    Plot(
        "Lost to the oracle, added up",
        "Flat: as good as knowing the future. Falling: better than being greedy.",
        regret_plot,
    ),
    Plot(
        "Which variant answered",
        "Shares of the answers over the run, in seconds. Watch them move when something happens.",
        shares_plot,
        wide=True,
    ),
    Plot("How long requests took", "Share of requests answered within a time.", ecdf_plot),
    Plot(
        "Predicted and observed",
        "Executions after the first 50 of each variant; on the line they agree.",
        calibration_plot,
    ),
)


def write_page(
    path: Path, title: str, comparisons: Sequence[Comparison], outcomes: Sequence[Outcome]
) -> None:
    """Write the page to a file.

    Raises:
        ToolError: it cannot be written.
    """
    page = render_page(title, comparisons, outcomes)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ToolError(f"{path}: the report cannot be written: {error.strerror}") from error


def render_page(title: str, comparisons: Sequence[Comparison], outcomes: Sequence[Outcome]) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["title_of"] = title_of
    environment.filters["figure_of"] = lambda value, figure: write(figure, value)
    return environment.get_template("page.html.j2").render(
        title=title,
        cases=[_case(number, comparison, outcomes) for number, comparison in enumerate(comparisons)],
        outcomes=outcomes,
        plotly_js=Markup(get_plotlyjs()),  # the library's own text
    )


def _case(number: int, comparison: Comparison, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    case = comparison.case
    own = [outcome for outcome in outcomes if outcome.case == case.name]
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
        "outcomes": own,
        "met": all(outcome.met for outcome in own) if own else None,
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
    figure = Markup(plot.figure(comparison).to_json())  # which leaves no "<" in it
    return {"title": plot.title, "reading": plot.reading, "wide": plot.wide, "json": figure}
