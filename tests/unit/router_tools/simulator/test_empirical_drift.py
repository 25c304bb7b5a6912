import numpy as np
import pytest

from router_tools.simulator.array import Array
from router_tools.simulator.empirical_drift import changes, levels, stretch_of

COUNT = 3000
MOMENT = np.arange(COUNT) / COUNT


def ratios(level: Array | float, sigma: float = 0.2, seed: int = 0) -> Array:
    noise: Array = level * np.exp(np.random.default_rng(seed).normal(0.0, sigma, COUNT))
    return noise


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.75])
def test_a_constant_level_is_seen_as_constant(sigma: float) -> None:
    assert [changes(MOMENT, ratios(1.0, sigma, seed)) for seed in range(60)].count(()) >= 59


@pytest.mark.parametrize("factor", [0.5, 1.3, 2.5])
def test_a_slow_quarter_is_found_with_its_factor_and_its_ends(factor: float) -> None:
    slow = np.where((MOMENT >= 0.35) & (MOMENT < 0.6), factor, 1.0)
    edges = changes(MOMENT, ratios(slow))
    assert edges == pytest.approx((0.35, 0.6), abs=0.021)
    found = levels(MOMENT, ratios(slow), edges)
    np.testing.assert_allclose(found / found[0], [1.0, factor, 1.0], rtol=0.04)


def test_a_level_that_rises_slowly_is_followed_in_steps() -> None:
    level = 1.0 + MOMENT
    edges = changes(MOMENT, ratios(level))
    assert len(edges) >= 3
    found = levels(MOMENT, ratios(level, 0.0), edges)[stretch_of(MOMENT, edges)]
    assert np.abs(found / level - 1.0).max() < 0.2


def test_a_stretch_without_executions_has_the_level_between_its_neighbors() -> None:
    kept = (MOMENT < 0.2) | (MOMENT > 0.8)
    ratio = np.where(MOMENT < 0.5, 1.0, 3.0)[kept]
    np.testing.assert_allclose(levels(MOMENT[kept], ratio, (0.25, 0.75)), [1.0, 2.0, 3.0])
    (edge,) = changes(MOMENT[kept], ratio)
    assert 0.2 <= edge <= 0.81


def test_a_few_executions_say_nothing_about_the_level() -> None:
    assert changes(MOMENT[::100], ratios(np.where(MOMENT < 0.5, 1.0, 3.0))[::100]) == ()


def test_executions_without_noise_have_a_constant_level() -> None:
    assert changes(MOMENT, np.ones(COUNT)) == ()
