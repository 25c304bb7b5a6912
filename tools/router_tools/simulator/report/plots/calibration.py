"""Predicted and observed times."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from router_tools.simulator.array import Array
from router_tools.simulator.calibration import held_out
from router_tools.simulator.comparison import Comparison
from router_tools.simulator.report.plots.style import focus, styled, variant_color

_POINTS_PER_VARIANT = 350
_KINDS = (
    ("service time, ms", "expected_service_ms", "service_ms"),
    ("latency, ms", "expected_latency_ms", "latency_ms"),
)


def calibration_plot(comparison: Comparison) -> go.Figure:
    """Plot held-out executions of the policy in focus; exact predictions are on the line."""
    record = comparison.records[focus(comparison)]
    executions = held_out(record)
    figure = make_subplots(1, 2, subplot_titles=[title for title, _, _ in _KINDS], horizontal_spacing=0.12)
    for column, (_, predicted, observed) in enumerate(_KINDS, start=1):
        for number, variant in enumerate(record.variants):
            points = executions[executions["variant"] == number]
            kept = np.linspace(0, len(points) - 1, min(len(points), _POINTS_PER_VARIANT)).astype(int)
            points = points[kept]
            figure.add_scatter(
                x=points[predicted].round(3).tolist(),
                y=points[observed].round(3).tolist(),
                mode="markers",
                name=variant,
                legendgroup=variant,
                showlegend=column == 1,
                marker={"color": variant_color(number), "size": 4, "opacity": 0.55},
                hovertemplate="predicted %{x:.1f}, observed %{y:.1f} ms",
                row=1,
                col=column,
            )
        if len(executions):
            _add_agreement(figure, executions[predicted], column)
    figure.update_xaxes(title="predicted", type="log")
    figure.update_yaxes(title="observed", type="log")
    return styled(figure)


def _add_agreement(figure: go.Figure, predicted: Array, column: int) -> None:
    ends = [float(predicted.min()), float(predicted.max())]
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": "#7d8590", "width": 1},
        showlegend=False,
        hoverinfo="skip",
        row=1,
        col=column,
    )
