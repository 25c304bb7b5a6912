import random

import pytest

from router_backend.core.experiments.latency_histogram import LatencyHistogram


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_quantile_is_right_to_two_percent(share):
    rng = random.Random(0)
    values = sorted(rng.lognormvariate(2.0, 1.0) for _ in range(10_000))
    histogram = LatencyHistogram()
    for value in values:
        histogram.update(value)
    assert histogram.quantile(share) == pytest.approx(values[int(share * 10_000) - 1], rel=0.0201)


def test_without_values_there_is_no_quantile():
    assert LatencyHistogram().quantile(0.99) is None


@pytest.mark.parametrize(("latency_ms", "shown_ms"), [(1e-9, 1e-3), (1e-3, 1e-3), (1e6, 1e6), (1e12, 1e6)])
def test_values_beyond_the_bounds_count_at_the_bounds(latency_ms, shown_ms):
    histogram = LatencyHistogram()
    histogram.update(latency_ms)
    assert histogram.quantile(0.99) == pytest.approx(shown_ms, rel=0.04)


@pytest.mark.parametrize(
    ("share", "shown_ms"), [(1 / 3, 1.0), (0.5, 10.0), (2 / 3, 10.0), (0.7, 100.0), (1.0, 100.0)]
)
def test_a_quantile_of_a_few_values_is_one_of_them(share, shown_ms):
    histogram = LatencyHistogram()
    for latency_ms in (100.0, 1.0, 10.0):
        histogram.update(latency_ms)
    assert histogram.quantile(share) == pytest.approx(shown_ms, rel=0.0201)
