"""Latency over time."""

import numpy as np
import plotly.graph_objects as go

from router_tools.simulator.array import Array
from router_tools.simulator.comparison import Comparison
from router_tools.simulator.report.plots.style import in_order, line_of, shade_events, styled

_WINDOWS = 80


def latency_plot(comparison: Comparison) -> go.Figure:
    """Plot the mean latency by arrival time, in 80 windows of equal length."""
    figure = go.Figure()
    length_s = 0.0
    for policy in in_order(comparison):
        record = comparison.records[policy]
        length_s = float(record.arrival_s[-1])
        edges_s = np.linspace(0.0, length_s, _WINDOWS + 1)
        window = np.clip(np.searchsorted(edges_s, record.arrival_s) - 1, 0, _WINDOWS - 1)
        figure.add_scatter(
            x=np.round(0.5 * (edges_s[1:] + edges_s[:-1]), 2).tolist(),
            y=_means(record.latency_ms, window),
            mode="lines",
            hovertemplate="%{y:.1f} ms at %{x:.0f} s",
            **line_of(policy, comparison),
        )
    shade_events(figure, comparison.case.world, length_s)
    figure.update_xaxes(title="time, s")
    figure.update_yaxes(title="mean latency, ms", type="log")
    return styled(figure)


def _means(values: Array, window: Array) -> list[float | None]:
    answered = ~np.isnan(values)
    counts = np.bincount(window[answered], minlength=_WINDOWS)
    totals = np.bincount(window[answered], weights=values[answered], minlength=_WINDOWS)
    return [round(total / count, 2) if count else None for total, count in zip(totals, counts, strict=True)]
