"""Cumulative regret against the oracle."""

import numpy as np
import plotly.graph_objects as go

from router_tools.simulator.comparison import Comparison
from router_tools.simulator.report.plots.style import in_order, line_of, styled

_POINTS = 250


def regret_plot(comparison: Comparison) -> go.Figure:
    """Plot the cumulative latency in excess of the oracle's; it falls while a policy beats the oracle."""
    figure = go.Figure()
    oracle_ms = comparison.records[comparison.case.oracle].latency_ms
    at = np.unique(np.linspace(0, len(oracle_ms) - 1, _POINTS).astype(int))
    for policy in in_order(comparison):
        record = comparison.records[policy]
        lost_s = np.nancumsum(record.latency_ms - oracle_ms) / 1e3
        figure.add_scatter(
            x=(at + 1).tolist(),
            y=lost_s[at].round(3).tolist(),
            mode="lines",
            hovertemplate="%{y:.2f} s after %{x} requests",
            **line_of(policy, comparison),
        )
    figure.update_xaxes(title="requests")
    figure.update_yaxes(title="cumulative regret, s")
    return styled(figure)
