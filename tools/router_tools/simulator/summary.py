"""The figures of a policy over all seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from router_tools.simulator.metrics import RunMetrics


def flatten(metrics: RunMetrics) -> dict[str, float]:
    """The figures by name; those of a variant or of the calibration by a dotted one."""
    return dict(_leaves(asdict(metrics), ""))


def means(runs: Sequence[RunMetrics]) -> dict[str, float]:
    """Each figure's mean over the seeds; of a ratio, the mean of the ratios of equal seeds."""
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
