"""Estimates as a self-contained HTML page with plots."""

from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from router_tools.off_policy.estimate import Estimate
from router_tools.off_policy.recording import Recording
from router_tools.off_policy.report import Result, errors, ranked
from router_tools.simulator.report.html import embedded, render, write
from router_tools.simulator.report.plots.style import styled, variant_color

_TEMPLATE = Path(__file__).parent / "templates" / "replay.html.j2"
_RECORDED = "recorded"
_ROW_PX = 28
_FRAME_PX = 120
_MIN_PX = 380


def write_page(path: Path, recording: Recording, results: Sequence[Result], limits: Sequence[str]) -> None:
    """Write the page to a file.

    Raises:
        ToolError: the file cannot be written.
    """
    write(path, render_page(recording, results, limits))


def render_page(recording: Recording, results: Sequence[Result], limits: Sequence[str]) -> str:
    """Return the page as HTML."""
    estimates = ranked(results)
    plots = [
        {
            "title": "Mean latency",
            "reading": "Each estimate with its 95 % interval; the line is the recorded mean.",
            "json": embedded(estimates_plot(recording, estimates)),
        },
        {
            "title": "Answers by variant",
            "reading": "Shares of the answers, beside those of the trace.",
            "json": embedded(shares_plot(recording, estimates)),
        },
    ]
    return render(
        _TEMPLATE,
        title="Policies replayed",
        recording=recording,
        estimates=estimates,
        errors=errors(results),
        limits=limits,
        plots=plots,
    )


def estimates_plot(recording: Recording, estimates: Sequence[Estimate]) -> go.Figure:
    """Plot the estimates with their intervals, and the recorded mean."""
    figure = go.Figure()
    policies = [each.policy for each in estimates]
    figure.add_scatter(
        name="doubly robust",
        x=[each.mean_ms for each in estimates],
        y=policies,
        error_x={
            "type": "data",
            "array": [each.high_ms - each.mean_ms for each in estimates],
            "arrayminus": [each.mean_ms - each.low_ms for each in estimates],
        },
        mode="markers",
        marker={"size": 9},
        hovertemplate="%{y}: %{x:.4g} ms",
    )
    figure.add_scatter(
        name="model",
        x=[each.model_ms for each in estimates],
        y=policies,
        mode="markers",
        marker={"size": 9, "symbol": "circle-open"},
        hovertemplate="%{y}: %{x:.4g} ms",
    )
    figure.add_scatter(
        name=_RECORDED,
        x=[recording.mean_ms] * (1 + len(policies)),
        y=[_RECORDED, *policies],
        mode="lines",
        line={"dash": "dot"},
        hovertemplate="%{x:.4g} ms",
    )
    figure.update_xaxes(title="mean latency, ms", type="log")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return styled(figure, _height(estimates))


def shares_plot(recording: Recording, estimates: Sequence[Estimate]) -> go.Figure:
    """Plot the shares of the answers by variant, of the trace and of each policy."""
    figure = go.Figure()
    for number, variant in enumerate(recording.variants):
        figure.add_bar(
            name=variant,
            y=[_RECORDED, *(each.policy for each in estimates)],
            x=[recording.shares[variant], *(each.shares[variant] for each in estimates)],
            orientation="h",
            marker_color=variant_color(number),
            hovertemplate="%{y}: %{x:.1%}",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="share of answers", tickformat=".0%")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return styled(figure, _height(estimates))


def _height(estimates: Sequence[Estimate]) -> int:
    return max(_MIN_PX, _FRAME_PX + _ROW_PX * len(estimates))
