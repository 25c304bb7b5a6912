import math
import random

import pytest

from router_backend.core.learning.interval import ConformalInterval


def test_starts_at_a_half_width_of_one_half():
    assert ConformalInterval(coverage=0.9).get() == 0.5


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_widens_by_the_step_times_the_coverage_when_an_error_falls_outside(coverage):
    interval = ConformalInterval(coverage)
    interval.update(-0.6)
    assert interval.get() == pytest.approx(0.5 * math.exp(0.25 * coverage))


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_narrows_by_the_step_times_the_rest_when_an_error_falls_inside(coverage):
    interval = ConformalInterval(coverage)
    interval.update(0.5)
    assert interval.get() == pytest.approx(0.5 * math.exp(-0.25 * (1 - coverage)))


def test_never_shrinks_below_its_minimum_and_widens_again():
    interval = ConformalInterval(coverage=0.5)
    for _ in range(1000):
        interval.update(0.0)
    assert interval.get() == 0.001
    for _ in range(60):
        interval.update(0.4)
    assert interval.get() > 0.3


@pytest.mark.parametrize("spread", [0.002, 0.05, 0.5])
def test_fits_both_steady_and_noisy_devices(spread):
    """A normally distributed error lies within 1.645 standard deviations with probability 0.9."""
    rng = random.Random(0)
    interval = ConformalInterval(coverage=0.9)
    widths = []
    for _ in range(3000):
        interval.update(rng.gauss(0.0, spread))
        widths.append(interval.get() / spread)
    late = widths[1000:]
    assert sum(late) / len(late) == pytest.approx(1.645, rel=0.1)
    assert min(late) > 0.5
    assert max(late) < 4.0


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reaches_the_target_coverage_within_two_percent_under_drift(coverage, seed):
    rng = random.Random(seed)
    interval = ConformalInterval(coverage)
    inside = 0
    count = 4000
    for i in range(count):
        bias = 0.3 * math.sin(2 * math.pi * i / 1000)
        spread = 0.05 + 0.2 * i / count
        error = rng.gauss(bias, spread)
        inside += abs(error) <= interval.get()
        interval.update(error)
    assert inside / count == pytest.approx(coverage, abs=0.02)
