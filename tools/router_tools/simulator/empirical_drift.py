"""The level of a variant's service times over a trace: slower while it is throttled, for example.

The trace is divided into hundredths. With r the ratio of an execution's service time to the fitted mean of
its size, l_s the mean ratio in part s, of n_s executions, and σ² the variance of the ratios within the parts,

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

PARTS = 100
DEVIATIONS = 4.0


class _Parts(NamedTuple):
    """The ratios by part: their number, their mean, and their variance within the parts."""

    count: Array
    level: Array
    variance: float


def level_variance(moment: Array, ratio: Array) -> float:
    """Return τ²; 0 if the level is constant as far as can be seen.

    Args:
        moment: when each execution began, as a fraction of the trace.
        ratio: its service time divided by the fitted mean.
    """
    count, level, variance = _parts(moment, ratio)
    present = count > 0
    freedom = int(present.sum()) - 1
    if freedom < 1 or variance == 0.0:
        return 0.0
    excess = float((count * (level - ratio.mean()) ** 2)[present].sum()) / variance - freedom
    if excess <= DEVIATIONS * math.sqrt(2.0 * freedom):
        return 0.0
    return excess * variance / float(count.sum() - (count**2).sum() / count.sum())


def levels(moment: Array, ratio: Array, spread: float) -> Array:
    """Return the level in each part of a trace; between parts with executions, it is interpolated.

    Args:
        moment: as for `level_variance`.
        ratio: as for `level_variance`.
        spread: τ², above 0.
    """
    count, level, variance = _parts(moment, ratio)
    present = np.flatnonzero(count)
    kept = spread / (spread + variance / count[present])
    mean = float(ratio.mean())
    shrunk: Array = mean + (level[present] - mean) * kept
    return np.interp(np.arange(PARTS), present, shrunk)


def part_of(moment: Array) -> Array:
    """Return the part of a trace that each moment is in."""
    parts: Array = np.clip((moment * PARTS).astype(int), 0, PARTS - 1)
    return parts


def _parts(moment: Array, ratio: Array) -> _Parts:
    part = part_of(moment)
    count = np.bincount(part, minlength=PARTS)
    level = np.bincount(part, ratio, minlength=PARTS) / np.maximum(count, 1)
    freedom = max(1, len(ratio) - int((count > 0).sum()))
    return _Parts(count, level, float(((ratio - level[part]) ** 2).sum()) / freedom)
