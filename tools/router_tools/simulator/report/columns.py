"""Columns of the report: title, format and description of each metric."""

import math
from collections.abc import Callable
from typing import NamedTuple


class Column(NamedTuple):
    """A column of the table.

    Args:
        title: the title of the column.
        figure: the name of the metric in the summary.
        write: formats a value.
        meaning: a description of the metric.
    """

    title: str
    figure: str
    write: Callable[[float], str]
    meaning: str


def ms(value: float) -> str:
    """Format milliseconds."""
    return f"{value:,.1f}" if math.isfinite(value) else "–"


def ratio(value: float) -> str:
    """Format a ratio or an R²."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 10.0 else f"{value:,.1f}"


def percent(value: float) -> str:
    """Format a share as a percentage."""
    return f"{value:.1%}" if math.isfinite(value) else "–"


COLUMNS = (
    Column("mean ms", "mean_ms", ms, "mean latency from arrival to answer, including failed attempts"),
    Column("p99 ms", "p99_ms", ms, "99th percentile of the latency"),
    Column("mean ×", "mean_ratio", ratio, "mean latency relative to the oracle's with the same seed"),
    Column("p99 ×", "p99_ratio", ratio, "99th percentile relative to the oracle's"),
    Column("in time", "in_time", percent, "share of all requests answered within their deadline"),
    Column("first in time", "in_time_preferred", percent, "the same of requests of the highest priority"),
    Column("goodput ×", "goodput_ratio", ratio, "the share answered in time, relative to the oracle's"),
    Column("refused", "refused", percent, "share of requests refused on arrival"),
    Column("answered", "answered", percent, "share of requests that were answered"),
    Column("lost 50", "regret_50", percent, "mean latency in excess of the oracle's, first 50 requests"),
    Column("lost 200", "regret_200", percent, "mean latency in excess of the oracle's, first 200"),
    Column("best 100", "best_after_100", percent, "share of the fastest variant from the 101st request on"),
    Column("best after", "best_after_events", percent, "the same 200 requests and 10 s after the last event"),
    Column("done s", "makespan_s", ms, "time of the last answer"),
    Column("J", "energy_j", ratio, "mean energy of an answer"),
    Column("J in time", "energy_in_time_j", ratio, "energy of all answers per answer in time"),
    Column("mean × J ×", "balanced", ratio, "geometric mean of the latency and energy ratios"),
    Column("same in time", "balanced_in_time", ratio, "the same with the energy per answer in time"),
    Column("R² S", "calibration.service_r2", ratio, "R² of the predicted service time, held out"),
    Column("R² W+S", "calibration.latency_r2", ratio, "R² of the predicted latency, held out"),
    Column("error", "calibration.service_error", percent, "median relative error of the service time"),
    Column("covers", "calibration.coverage", percent, "share of latencies inside the predicted interval"),
)
_BY_FIGURE = {column.figure: column for column in COLUMNS}


def title(figure: str) -> str:
    """Return the title of a metric's column, or else its name."""
    return _BY_FIGURE[figure].title if figure in _BY_FIGURE else figure


def write(figure: str, value: float) -> str:
    """Format the value of a metric as in its column."""
    return _BY_FIGURE[figure].write(value) if figure in _BY_FIGURE else ratio(value)
