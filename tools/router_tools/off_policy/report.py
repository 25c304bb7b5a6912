"""Estimates as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from router_tools.off_policy.estimate import Estimate, NoEstimate
from router_tools.off_policy.recording import Recording

Result = Estimate | NoEstimate


def ranked(results: Sequence[Result]) -> list[Estimate]:
    """Return the estimates, the lowest first."""
    return sorted((each for each in results if isinstance(each, Estimate)), key=lambda each: each.mean_ms)


def errors(results: Sequence[Result]) -> list[NoEstimate]:
    """Return the policies without an estimate."""
    return [each for each in results if isinstance(each, NoEstimate)]


def estimates_table(recording: Recording, results: Sequence[Result]) -> Table:
    """Return a table with one row per policy, the lowest estimate first.

    It has the share of unanswered requests if there are any, in the trace or in an estimate.
    """
    estimates = ranked(results)
    unanswered = recording.refused + recording.failed
    shows_unanswered = unanswered > 0.0 or any(each.refused + each.failed > 0.0 for each in estimates)
    title = f"{recording.name}: {len(recording.requests):,} requests, {recording.mean_ms:.4g} ms recorded"
    if shows_unanswered:
        title += f", {unanswered:.2%} unanswered"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("policy", overflow="fold")
    for name in ("mean ms", "95 % interval", ": recorded", "model ms", "agreeing"):
        table.add_column(name, justify="right", no_wrap=True)
    if shows_unanswered:
        table.add_column("unanswered", justify="right", no_wrap=True)
    for each in estimates:
        cells = _cells(recording, each)
        table.add_row(*cells, *([f"{each.refused + each.failed:.2%}"] if shows_unanswered else []))
    for error in errors(results):
        table.add_row(escape(error.policy), "error")
    return table


def as_json(recording: Recording, results: Sequence[Result], limits: Sequence[str]) -> dict[str, Any]:
    """Return the estimates as JSON types."""
    members = {each.policy: asdict(each) for each in results}
    return {
        "trace": recording.name,
        "requests": len(recording.requests),
        "left_out": recording.left_out,
        "recorded_ms": recording.mean_ms,
        "shares": recording.shares,
        "refused": recording.refused,
        "failed": recording.failed,
        "limits": list(limits),
        "policies": members,
    }


def _cells(recording: Recording, each: Estimate) -> tuple[str, ...]:
    return (
        escape(each.policy),
        f"{each.mean_ms:.4g}",
        f"{each.low_ms:.4g} to {each.high_ms:.4g}",
        f"{each.mean_ms / recording.mean_ms:.3f}",
        f"{each.model_ms:.4g}",
        f"{sum(each.effective.values()):,.0f}",
    )
