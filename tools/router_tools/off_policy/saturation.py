"""Times in which a variant has no capacity left, in a trace or in a run of a policy."""

import numpy as np

from router_tools.simulator.array import Array

SLICES = 20
"""Into how many parts of equal length the time is divided."""
BUSY = 0.95
"""The utilization from which a variant has no capacity left."""


def saturated(begin_s: Array, service_ms: Array, concurrency: int, length_s: float) -> float:
    """Return the share of the time in which a variant is busy with what it is sent, in slices.

    Args:
        begin_s: when it began to serve each request, from the start.
        service_ms: how long it served each.
        concurrency: how many it serves at once.
        length_s: the length of the time.

    Examples:
        >>> begin_s = np.arange(0.0, 5.0, 0.01)
        >>> saturated(begin_s, np.full(500, 10.0), concurrency=1, length_s=10.0)
        0.5
    """
    edges_s = np.linspace(0.0, length_s, SLICES + 1)
    end_s = begin_s + service_ms / 1e3
    # What was served before each edge; differences are the busy time in each slice.
    served_s = np.array([np.clip(edge_s - begin_s, 0.0, end_s - begin_s).sum() for edge_s in edges_s])
    return float(np.mean(np.diff(served_s) >= BUSY * concurrency * length_s / SLICES))
