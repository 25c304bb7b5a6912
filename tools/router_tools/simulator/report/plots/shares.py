"""Shares of the variants over time."""

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from router_tools.simulator.array import Array
from router_tools.simulator.comparison import Comparison
from router_tools.simulator.record import RunRecord
from router_tools.simulator.report.plots.style import shown, styled, variant_color

_WINDOWS = 50
_PER_ROW = 3


def shares_plot(comparison: Comparison) -> go.Figure:
    """Plot each variant's share of the answers over time, in 50 windows, for the highlighted policies."""
    policies = shown(comparison)
    rows = math.ceil(len(policies) / _PER_ROW)
    figure = make_subplots(
        rows, min(_PER_ROW, len(policies)), shared_yaxes=True, subplot_titles=policies, vertical_spacing=0.16
    )
    for index, policy in enumerate(policies):
        where = {"row": index // _PER_ROW + 1, "col": index % _PER_ROW + 1}
        record = comparison.records[policy]
        times_s, shares = _shares(record)
        for number, variant in enumerate(record.variants):
            figure.add_scatter(
                x=times_s,
                y=shares[number].round(4).tolist(),
                stackgroup=policy,
                name=variant,
                legendgroup=variant,
                showlegend=index == 0,
                mode="none",
                fillcolor=variant_color(number),
                hovertemplate="%{y:.0%} at %{x:.0f} s",
                **where,
            )
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return styled(figure, height=60 + 190 * rows)


def _shares(record: RunRecord) -> tuple[list[float], Array]:
    length_s = float(record.arrival_s[-1])
    edges_s = np.linspace(0.0, length_s, _WINDOWS + 1)
    arrived_s = record.arrival_s[record.executions["request"]]
    counts = np.array(
        [
            np.histogram(arrived_s[record.executions["variant"] == number], edges_s)[0]
            for number in range(len(record.variants))
        ]
    )
    centers_s = np.round(0.5 * (edges_s[1:] + edges_s[:-1]), 2)
    return centers_s.tolist(), counts / np.maximum(counts.sum(axis=0), 1)
