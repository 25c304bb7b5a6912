"""Arrival processes."""

import numpy as np

from router_tools.simulator.array import Array
from router_tools.simulator.workload import Bursty


def poisson_s(rng: np.random.Generator, per_s: float, count: int) -> Array:
    """Return the times in seconds of the first `count` arrivals of a Poisson process that starts at 0."""
    return rng.exponential(1.0 / per_s, count).cumsum()


def bursty_s(rng: np.random.Generator, bursty: Bursty, per_s: float, count: int) -> Array:
    """Return the times in seconds of the first `count` arrivals of an MMPP-2 with mean rate `per_s`.

    The arrivals of a Poisson process of rate 1 are transformed by the inverse of the expected number of
    arrivals over time. The process starts in the calm state.
    """
    cycle_s = bursty.mean_burst_s + bursty.mean_calm_s
    calm_per_s = per_s * cycle_s / (bursty.mean_calm_s + bursty.burst_factor * bursty.mean_burst_s)
    expected = poisson_s(rng, 1.0, count)
    cycles = 2 + int(2 * expected[-1] / (per_s * cycle_s))
    while True:
        durations_s = rng.exponential([bursty.mean_calm_s, bursty.mean_burst_s], (cycles, 2)).ravel()
        rates = np.tile([calm_per_s, calm_per_s * bursty.burst_factor], cycles)
        expected_at_edges = np.concatenate([[0.0], (durations_s * rates).cumsum()])
        if expected_at_edges[-1] >= expected[-1]:
            edges_s = np.concatenate([[0.0], durations_s.cumsum()])
            return np.interp(expected, expected_at_edges, edges_s)
        cycles *= 2
