"""Common style of the plots: colors of policies and variants, axes, and shading of events."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from router_tools.simulator.comparison import Comparison
from router_tools.simulator.policy_choice import ORACLES
from router_tools.simulator.report.ranking import ranking
from router_tools.simulator.world import World

_FOCUS = "#2f6fed"
_ORACLE = "#8a8f98"
_OTHERS = (
    *("#e8793a", "#2aa587", "#b65fcf", "#d4a017", "#d6456b", "#4aa8d8"),
    *("#8c6d46", "#7a9e3b", "#8f7ae5", "#c98bb9", "#5f9ea0", "#a05a3c"),
)
_VARIANTS = ("#2f6fed", "#2aa587", "#e8b339", "#d6456b", "#b65fcf", "#4aa8d8", "#8c6d46", "#7a9e3b")
_TEXT = "#7d8590"  # readable on light and dark backgrounds
_GRID = "rgba(125, 133, 144, 0.2)"
_DRIFT = "rgba(232, 179, 57, 0.16)"
_OUTAGE = "rgba(214, 69, 107, 0.18)"
_SHOWN = 6


def focus(comparison: Comparison) -> str:
    """Return the policy in focus: the first one listed in the case."""
    return comparison.case.policies[0]


def shown(comparison: Comparison) -> list[str]:
    """Return the highlighted policies: the one in focus, the oracles, and the best of the others."""
    ranked = [policy for policy, _ in ranking(comparison)]
    first = [focus(comparison), *(policy for policy in ranked if policy in ORACLES)]
    return [*first, *(policy for policy in ranked if policy not in first)][:_SHOWN]


def in_order(comparison: Comparison) -> list[str]:
    """Return all policies, the highlighted ones first."""
    first = shown(comparison)
    return [*first, *(policy for policy, _ in ranking(comparison) if policy not in first)]


def line_of(policy: str, comparison: Comparison) -> dict[str, Any]:
    """Return the style of a policy's line; policies that are not highlighted are only in the legend."""
    color, width, dash = _OTHERS[0], 1.6, "solid"
    if policy == focus(comparison):
        color, width = _FOCUS, 3.0
    elif policy in ORACLES:
        color, width, dash = _ORACLE, 2.2, "dot"
    else:
        others = [
            name for name in comparison.case.policies if name != focus(comparison) and name not in ORACLES
        ]
        color = _OTHERS[others.index(policy) % len(_OTHERS)]
    return {
        "name": policy,
        "legendgroup": policy,
        "line": {"color": color, "width": width, "dash": dash},
        "visible": True if policy in shown(comparison) else "legendonly",
    }


def variant_color(number: int) -> str:
    """Return the color of the variant with this index in the world."""
    return _VARIANTS[number % len(_VARIANTS)]


def styled(figure: go.Figure, height: int = 380) -> go.Figure:
    """Apply the common layout to a figure and return it."""
    figure.update_layout(
        height=height,
        margin={"l": 56, "r": 12, "t": 28, "b": 44},
        font={"family": "inherit", "size": 12, "color": _TEXT},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": -0.18, "font": {"size": 11}},
        hovermode="closest",
        title_font={"size": 12},
    )
    figure.update_annotations(font_size=12)
    figure.update_xaxes(gridcolor=_GRID, zerolinecolor=_GRID, linecolor=_GRID)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor=_GRID, linecolor=_GRID)
    return figure


def shade_events(figure: go.Figure, world: World, length_s: float) -> None:
    """Shade the periods of drifts and outages on a time axis in seconds."""
    spans: Sequence[tuple[str, float, float, str]] = [
        *((f"{drift.variant} ×{drift.factor:g}", drift.start, drift.end, _DRIFT) for drift in world.drifts),
        *((f"{outage.variant} fails", outage.start, outage.end, _OUTAGE) for outage in world.outages),
    ]
    for label, start, end, color in spans:
        figure.add_vrect(
            x0=start * length_s,
            x1=end * length_s,
            fillcolor=color,
            line_width=0,
            layer="below",
            annotation_text=label,
            annotation_position="top left",
        )
