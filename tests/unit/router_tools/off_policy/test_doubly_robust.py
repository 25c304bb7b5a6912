import numpy as np
import pytest

from router_tools.off_policy.doubly_robust import effective, factor, weights
from router_tools.simulator.array import Array
from router_tools.simulator.executions import Executions

COUNT = 4000
ALL = np.ones(COUNT)


def executed(service_ms: Array, chosen: Array | None = None) -> Executions:
    request = np.arange(COUNT) if chosen is None else np.flatnonzero(chosen)
    return Executions(request, request / COUNT, np.ones(len(request)), service_ms[request])


def noisy(mean_ms: Array | float, seed: int = 0) -> Array:
    factors: Array = mean_ms * np.exp(np.random.default_rng(seed).normal(-0.02, 0.2, COUNT))
    return factors


def test_a_weight_is_the_ratio_of_probabilities_and_bounded() -> None:
    target, propensity = np.array([1.0, 0.5, 0.0, 1.0]), np.array([0.5, 0.25, 0.1, 1e-9])
    assert weights(target, propensity).tolist() == [2.0, 2.0, 0.0, 100.0]


def test_the_effective_number_is_that_of_equal_weights() -> None:
    assert effective(np.array([2.0, 2.0, 0.0])) == 2.0
    assert effective(np.array([100.0, 1.0])) == pytest.approx(101.0**2 / 10001.0)
    assert effective(np.zeros(3)) == 0.0


def test_a_right_fit_is_left_as_it_is() -> None:
    factors = [factor(executed(noisy(10.0, seed)), 10.0 * ALL, 0.5 * ALL, 0.5 * ALL) for seed in range(50)]
    assert np.mean(np.array(factors) == 1.0) > 0.5
    assert np.std(factors) < 0.2 / COUNT**0.5, "less than the mean of the observations varies"


def test_a_fit_that_is_wrong_by_a_factor_is_corrected() -> None:
    assert factor(executed(noisy(10.0)), 8.0 * ALL, 0.5 * ALL, 0.5 * ALL) == pytest.approx(1.25, rel=0.01)


def test_propensities_correct_a_fit_to_times_in_which_the_recorded_policy_was_elsewhere() -> None:
    """A quarter of the time the variant is three times slower, and is chosen with a tenth of the chance."""
    slow = np.arange(COUNT) < COUNT // 4
    propensity = np.where(slow, 0.05, 0.5)
    chosen = np.random.default_rng(1).random(COUNT) < propensity
    recorded = executed(noisy(np.where(slow, 30.0, 10.0)), chosen)
    fitted_ms = np.full(len(recorded.request), recorded.service_ms.mean())
    true_mean_ms = 0.25 * 30.0 + 0.75 * 10.0
    assert fitted_ms[0] < 0.75 * true_mean_ms
    assert fitted_ms[0] * factor(recorded, fitted_ms, ALL, propensity) == pytest.approx(
        true_mean_ms, rel=0.08
    )


def test_only_what_the_target_policy_would_send_there_counts() -> None:
    large = np.arange(COUNT) % 2 == 1
    recorded = executed(noisy(np.where(large, 20.0, 10.0)))
    found = factor(recorded, 15.0 * ALL, large.astype(float), 0.5 * ALL)
    assert found == pytest.approx(20.0 / 15.0, rel=0.02)


def test_a_variant_with_hardly_any_agreeing_execution_is_not_corrected() -> None:
    target = (np.arange(COUNT) < 9).astype(float)
    assert factor(executed(noisy(10.0)), 5.0 * ALL, target, 0.5 * ALL) == 1.0
