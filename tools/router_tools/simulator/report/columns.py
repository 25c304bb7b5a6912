"""The figures as people read them: their titles, what they mean, how they are written."""

import math
from collections.abc import Callable
from typing import NamedTuple


class Column(NamedTuple):
    """A figure in a table.

    Args:
        title: what stands above it.
        figure: its name in the summary.
        write: how it is written.
        meaning: what it is, for who wants to know.
    """

    title: str
    figure: str
    write: Callable[[float], str]
    meaning: str


def ms(value: float) -> str:
    """Milliseconds."""
    return f"{value:,.1f}" if math.isfinite(value) else "–"


def ratio(value: float) -> str:
    """A ratio or an R²."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 10.0 else f"{value:,.1f}"


def percent(value: float) -> str:
    """A share."""
    return f"{value:.1%}" if math.isfinite(value) else "–"


COLUMNS = (
    Column("mean ms", "mean_ms", ms, "mean time from arrival to answer, failed attempts included"),
    Column("p99 ms", "p99_ms", ms, "its 99th percentile"),
    Column("mean ×", "mean_ratio", ratio, "the mean over the oracle's with the same seed"),
    Column("p99 ×", "p99_ratio", ratio, "the 99th percentile over the oracle's"),
    Column("in time", "in_time", percent, "share of all requests answered within their deadline"),
    Column("goodput ×", "goodput_ratio", ratio, "that share over the oracle's"),
    Column("refused", "refused", percent, "share of requests refused on arrival"),
    Column("answered", "answered", percent, "share of requests that got an answer"),
    Column("lost 50", "regret_50", percent, "latency lost to the oracle, first 50 requests, of its mean"),
    Column("lost 200", "regret_200", percent, "the same on the first 200"),
    Column("done s", "makespan_s", ms, "when the last answer came"),
    Column("J", "energy_j", ratio, "energy of an answer"),
    Column("J in time", "energy_in_time_j", ratio, "energy of all answers for each one in time"),
    Column("mean × J ×", "balanced", ratio, "geometric mean of latency and energy over the oracle's"),
    Column("same in time", "balanced_in_time", ratio, "the same with the energy for each answer in time"),
    Column("R² S", "calibration.service_r2", ratio, "R² of the predicted service time, held out"),
    Column("R² W+S", "calibration.latency_r2", ratio, "R² of the predicted latency, held out"),
    Column("error", "calibration.service_error", percent, "median relative error of the service time"),
    Column("covers", "calibration.coverage", percent, "share of latencies inside the predicted interval"),
)
_BY_FIGURE = {column.figure: column for column in COLUMNS}


def title(figure: str) -> str:
    """A figure as its column calls it."""
    return _BY_FIGURE[figure].title if figure in _BY_FIGURE else figure


def write(figure: str, value: float) -> str:
    """A figure's value as its column writes it."""
    return _BY_FIGURE[figure].write(value) if figure in _BY_FIGURE else ratio(value)
