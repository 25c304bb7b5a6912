"""The level of a variant's service times over a trace: slower while it is throttled, for example.

The trace is divided into equal parts, up to a hundred, with twenty executions each on average. With r the
ratio of an execution's service time to the fitted mean of its size, l_s the mean ratio in part s, of n_s
executions, and σ² the variance of the ratios within the parts,

    Q = Σ n_s · (l_s - l̄)² / σ²

has the mean S - 1 over S parts, and about the variance 2 · (S - 1), if the level is constant. If Q is more
than four standard deviations above, the variance of the true levels is τ² = (Q - (S - 1)) / C · σ² with
C = Σ n_s - Σ n_s² / Σ n_s, and each level is shrunk toward the mean by τ² / (τ² + σ² / n_s).

References:
    DerSimonian and Laird, Meta-analysis in clinical trials, Controlled Clinical Trials 7 (1986).
"""

import math
from typing import NamedTuple

import numpy as np

from router_tools.simulator.array import Array

MOST_PARTS = 100
EXECUTIONS_PER_PART = 20
DEVIATIONS = 4.0
LEAST_VARIANCE = 1e-6
"""What is below may be an error of rounding."""


class _Parts(NamedTuple):
    """The ratios by part: how many, their mean, and their variance within the parts."""

    sizes: Array
    level: Array
    variance: float


def level_variance(moment: Array, ratio: Array) -> float:
    """Return τ²; 0 if the level is constant as far as can be seen.

    Args:
        moment: when each execution began, as a fraction of the trace.
        ratio: its service time divided by the fitted mean.
    """
    sizes, level, variance = _parts(moment, ratio)
    present = sizes > 0
    freedom = int(present.sum()) - 1
    if freedom < 1:
        return 0.0
    excess = float((sizes * (level - ratio.mean()) ** 2)[present].sum()) / variance - freedom
    if excess <= DEVIATIONS * math.sqrt(2.0 * freedom):
        return 0.0
    return excess * variance / float(sizes.sum() - (sizes**2).sum() / sizes.sum())


def levels(moment: Array, ratio: Array, spread: float) -> Array:
    """Return the level in each part of a trace; between parts with executions, it is interpolated.

    Args:
        moment: as for `level_variance`.
        ratio: as for `level_variance`.
        spread: τ², above 0.
    """
    sizes, level, variance = _parts(moment, ratio)
    present = np.flatnonzero(sizes)
    kept = spread / (spread + variance / sizes[present])
    mean = float(ratio.mean())
    shrunk: Array = mean + (level[present] - mean) * kept
    return np.interp(np.arange(len(sizes)), present, shrunk)


def part_of(moment: Array, parts: int) -> Array:
    """Return the part of a trace that each moment is in."""
    part: Array = np.clip((moment * parts).astype(int), 0, parts - 1)
    return part


def _parts(moment: Array, ratio: Array) -> _Parts:
    parts = min(MOST_PARTS, max(1, len(ratio) // EXECUTIONS_PER_PART))
    part = part_of(moment, parts)
    sizes = np.bincount(part, minlength=parts)
    level = np.bincount(part, ratio, minlength=parts) / np.maximum(sizes, 1)
    freedom = max(1, len(ratio) - int((sizes > 0).sum()))
    variance = float(((ratio - level[part]) ** 2).sum()) / freedom
    return _Parts(sizes, level, max(variance, LEAST_VARIANCE))
