"""Metrics of a policy, summarized over all seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from router_tools.simulator.metrics import RunMetrics


def flatten(metrics: RunMetrics) -> dict[str, float]:
    """Return the metrics by name; nested ones have dotted names, such as `calibration.coverage`."""
    return dict(_leaves(asdict(metrics), ""))


def means(runs: Sequence[RunMetrics]) -> dict[str, float]:
    """Return the mean of each metric over the seeds; for ratios, the mean of the ratio of each seed."""
    rows = [flatten(metrics) for metrics in runs]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _leaves(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, float]]:
    leaves: list[tuple[str, float]] = []
    for name, value in tree.items():
        if isinstance(value, dict):
            leaves += _leaves(value, f"{prefix}{name}.")
        else:
            leaves.append((prefix + name, float(value)))
    return leaves
