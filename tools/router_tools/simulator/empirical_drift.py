"""The level of a variant's service times over a trace: higher while it is throttled, for example.

The trace is divided into equal parts, up to a hundred, with twenty executions each on average. With r the
ratio of an execution's service time to the fitted mean of its size, and σ² the variance of r within the
parts, a stretch of the trace is split where

    n₁ · n₂ / (n₁ + n₂) · (l₁ - l₂)² / σ²

is highest, if that is above 25 (five standard deviations): n₁, n₂ are the executions before and after, l₁ and
l₂ the means of r. Both sides are then split in the same way (binary segmentation).

References:
    Scott and Knott, A cluster analysis method for grouping means in the analysis of variance, Biometrics 30
    (1974).
"""

import numpy as np

from router_tools.simulator.array import Array

MOST_PARTS = 100
EXECUTIONS_PER_PART = 20
THRESHOLD = 25.0
LEAST_VARIANCE = 1e-6
"""What is below may be an error of rounding."""


def changes(moment: Array, ratio: Array) -> tuple[float, ...]:
    """Return where the level changes, as fractions of the trace in ascending order.

    Args:
        moment: when each execution began, as a fraction of the trace.
        ratio: its service time divided by the fitted mean.
    """
    parts = min(MOST_PARTS, max(1, len(ratio) // EXECUTIONS_PER_PART))
    part = np.clip((moment * parts).astype(int), 0, parts - 1)
    sizes, totals = np.bincount(part, minlength=parts), np.bincount(part, ratio, minlength=parts)
    residual = ratio - (totals / np.maximum(sizes, 1))[part]
    freedom = max(1, len(ratio) - int((sizes > 0).sum()))
    variance = max(float((residual**2).sum()) / freedom, LEAST_VARIANCE)
    counted, summed = (np.concatenate([[0.0], each.cumsum()]) for each in (sizes, totals))
    return tuple(cut / parts for cut in _cuts(counted, summed, variance, 0, parts))


def levels(moment: Array, ratio: Array, edges: tuple[float, ...]) -> Array:
    """Return the mean ratio of each stretch between changes; without executions, that of its neighbors."""
    stretch = stretch_of(moment, edges)
    sizes = np.bincount(stretch, minlength=len(edges) + 1)
    totals = np.bincount(stretch, ratio, minlength=len(edges) + 1)
    present = np.flatnonzero(sizes)
    return np.interp(np.arange(len(sizes)), present, totals[present] / sizes[present])


def stretch_of(moment: Array, edges: tuple[float, ...]) -> Array:
    """Return the number of the stretch that each moment is in."""
    stretch: Array = np.searchsorted(edges, moment, side="right")
    return stretch


def _cuts(counted: Array, summed: Array, variance: float, first: int, last: int) -> list[int]:
    """Return where the parts from `first` to before `last` are split.

    Args:
        counted: the number of executions before each part.
        summed: the sum of their ratios.
        variance: σ².
        first: the first part.
        last: the part after the last.
    """
    cut = np.arange(first + 1, last)
    before, after = counted[cut] - counted[first], counted[last] - counted[cut]
    both = (before > 0) & (after > 0)
    cut, before, after = cut[both], before[both], after[both]
    if not len(cut):
        return []
    step = (summed[cut] - summed[first]) / before - (summed[last] - summed[cut]) / after
    evidence = before * after / (before + after) * step**2 / variance
    best = int(np.argmax(evidence))
    if evidence[best] <= THRESHOLD:
        return []
    middle = int(cut[best])
    left = _cuts(counted, summed, variance, first, middle)
    return [*left, middle, *_cuts(counted, summed, variance, middle, last)]
