import numpy as np
import pytest

from router_tools.simulator.arrivals import bursty_s, poisson_s
from router_tools.simulator.randomness import stream
from router_tools.simulator.workload import Bursty

COUNT = 40_000


def dispersion(arrival_s: np.ndarray, window_s: float) -> float:
    """Return variance / mean of the number of arrivals per window: 1 for a Poisson process."""
    counts = np.histogram(arrival_s, np.arange(0.0, arrival_s[-1], window_s))[0]
    return float(counts.var() / counts.mean())


def test_poisson_arrivals_have_the_rate_and_a_dispersion_of_one() -> None:
    arrival_s = poisson_s(stream(1, "a"), 100.0, COUNT)
    assert len(arrival_s) / arrival_s[-1] == pytest.approx(100.0, rel=0.02)
    assert dispersion(arrival_s, 1.0) == pytest.approx(1.0, abs=0.15)


def test_bursty_arrivals_have_the_same_mean_rate_and_a_high_dispersion() -> None:
    arrival_s = bursty_s(stream(1, "a"), Bursty(4.0, 0.1, 0.3), 100.0, COUNT)
    assert len(arrival_s) == COUNT
    assert np.all(np.diff(arrival_s) > 0.0)
    assert len(arrival_s) / arrival_s[-1] == pytest.approx(100.0, rel=0.05)
    assert dispersion(arrival_s, 1.0) > 5.0
