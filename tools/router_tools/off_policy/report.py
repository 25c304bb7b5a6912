"""Estimates as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table

from router_tools.off_policy.estimate import Estimate
from router_tools.off_policy.recording import Recording


def estimates_table(recording: Recording, estimates: Sequence[Estimate]) -> Table:
    """Return a table with one row per policy, the lowest estimate first."""
    table = Table(
        title=f"{recording.name}: {len(recording.requests):,} requests, {recording.mean_ms:.4g} ms recorded",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("policy", overflow="fold")
    for title in ("mean ms", "95 % interval", ": recorded", "model ms", "agreeing"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in sorted(estimates, key=lambda each: each.mean_ms):
        table.add_row(
            each.policy,
            f"{each.mean_ms:.4g}",
            f"{each.low_ms:.4g} to {each.high_ms:.4g}",
            f"{each.mean_ms / recording.mean_ms:.3f}",
            f"{each.model_ms:.4g}",
            f"{sum(each.effective.values()):,.0f}",
        )
    return table


def as_json(recording: Recording, estimates: Sequence[Estimate], limits: Sequence[str]) -> dict[str, Any]:
    """Return the estimates as JSON types."""
    return {
        "trace": recording.name,
        "requests": len(recording.requests),
        "recorded_ms": recording.mean_ms,
        "limits": list(limits),
        "policies": {each.policy: asdict(each) for each in estimates},
    }
