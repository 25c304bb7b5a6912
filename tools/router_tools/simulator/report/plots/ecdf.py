"""The distribution of latency."""

import numpy as np
import plotly.graph_objects as go

from router_tools.simulator.comparison import Comparison
from router_tools.simulator.report.plots.style import in_order, line_of, styled

# Denser in the tail.
_SHARES = np.concatenate([np.linspace(0.0, 0.95, 96), np.linspace(0.951, 1.0, 50)])


def ecdf_plot(comparison: Comparison) -> go.Figure:
    """Plot the share of requests answered within each time."""
    figure = go.Figure()
    for policy in in_order(comparison):
        record = comparison.records[policy]
        answered_ms = record.latency_ms[~np.isnan(record.latency_ms)]
        if not len(answered_ms):
            continue
        figure.add_scatter(
            x=np.quantile(answered_ms, _SHARES).round(2).tolist(),
            y=(_SHARES * len(answered_ms) / len(record.latency_ms)).round(4).tolist(),
            mode="lines",
            hovertemplate="%{y:.1%} within %{x:.1f} ms",
            **line_of(policy, comparison),
        )
    figure.update_xaxes(title="latency, ms", type="log")
    figure.update_yaxes(title="share of requests", tickformat=".0%", range=[0, 1.01])
    return styled(figure)
