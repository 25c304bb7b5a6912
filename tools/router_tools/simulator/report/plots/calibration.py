"""What was predicted, and what came."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from router_tools.simulator.array import Array
from router_tools.simulator.calibration import held_out
from router_tools.simulator.comparison import Comparison
from router_tools.simulator.report.plots.style import focus, styled, variant_colour

_POINTS_PER_VARIANT = 350
_KINDS = (
    ("service time, ms", "expected_service_ms", "service_ms"),
    ("latency, ms", "expected_latency_ms", "latency_ms"),
)


def calibration_plot(comparison: Comparison) -> go.Figure:
    """Held-out executions of the policy in focus; the line is where prediction and observation agree."""
    record = comparison.records[focus(comparison)]
    executions = held_out(record)
    figure = make_subplots(1, 2, subplot_titles=[title for title, _, _ in _KINDS], horizontal_spacing=0.12)
    for column, (_, predicted, observed) in enumerate(_KINDS, start=1):
        for number, variant in enumerate(record.variants):
            own = executions[executions["variant"] == number]
            own = own[np.linspace(0, len(own) - 1, min(len(own), _POINTS_PER_VARIANT)).astype(int)]
            figure.add_scatter(
                x=own[predicted].round(3).tolist(),
                y=own[observed].round(3).tolist(),
                mode="markers",
                name=variant,
                legendgroup=variant,
                showlegend=column == 1,
                marker={"color": variant_colour(number), "size": 4, "opacity": 0.55},
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
