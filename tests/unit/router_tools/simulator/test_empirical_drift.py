import numpy as np
import pytest

from router_tools.simulator.array import Array
from router_tools.simulator.empirical_drift import level_variance, levels, part_of

COUNT = 3000
MOMENT = np.arange(COUNT) / COUNT


def ratios(level: Array | float, sigma: float = 0.2, seed: int = 0) -> Array:
    noise: Array = level * np.exp(np.random.default_rng(seed).normal(0.0, sigma, COUNT))
    return noise


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.75])
def test_a_constant_level_is_seen_as_constant(sigma: float) -> None:
    assert [level_variance(MOMENT, ratios(1.0, sigma, seed)) for seed in range(40)].count(0.0) >= 39


def test_a_slow_quarter_is_found_with_its_factor_and_its_ends() -> None:
    slow = np.where((MOMENT >= 0.35) & (MOMENT < 0.6), 2.5, 1.0)
    spread = level_variance(MOMENT, ratios(slow))
    assert spread == pytest.approx(float(slow.var()), rel=0.1)
    found = levels(MOMENT, ratios(slow), spread)
    np.testing.assert_allclose(found, slow[::30], rtol=0.15)
    assert found.mean() == pytest.approx(float(slow.mean()), rel=0.02)


def test_between_parts_with_executions_the_level_is_interpolated() -> None:
    kept = (MOMENT < 0.2) | (MOMENT > 0.8)
    ratio = ratios(np.where(MOMENT < 0.5, 1.0, 3.0), 0.01)[kept]
    found = levels(MOMENT[kept], ratio, level_variance(MOMENT[kept], ratio))
    assert found[0] == pytest.approx(1.0, rel=0.01)
    assert found[len(found) // 2] == pytest.approx(2.0, rel=0.05)
    assert found[-1] == pytest.approx(3.0, rel=0.01)


def test_a_moment_before_or_after_the_trace_is_in_its_first_or_last_part() -> None:
    assert part_of(np.array([-0.1, 0.0, 0.999, 1.0, 1.5]), 100).tolist() == [0, 0, 99, 99, 99]


def test_a_few_executions_say_nothing_about_the_level() -> None:
    assert level_variance(MOMENT[::100], ratios(np.where(MOMENT < 0.5, 1.0, 3.0))[::100]) == 0.0


def test_executions_without_noise_have_a_constant_level() -> None:
    assert level_variance(MOMENT, np.ones(COUNT)) == 0.0
