import numpy as np
import pytest

from router_tools.simulator.array import Array
from router_tools.simulator.executions import Found, executions
from router_tools.simulator.trace import TracedRequest


def found(service_ms: Array) -> Found:
    """Return the executions of requests of two sizes, the larger of which take five times as long."""
    return executions(
        "t",
        [
            TracedRequest(
                float(second), size, variant="gpu", latency_ms=size * float(ms), service_ms=size * float(ms)
            )
            for second, (ms, size) in enumerate(zip(service_ms, [1, 5] * len(service_ms), strict=False))
        ],
    )


def noisy(sigma: float, count: int = 1000) -> Array:
    factors: Array = np.exp(np.random.default_rng(0).normal(0.0, sigma, count))
    return 2.0 * factors


@pytest.mark.parametrize("wrong", [1e6, 1e-6, 25.0])
def test_a_service_time_that_is_absurd_for_its_size_is_an_outlier(wrong: float) -> None:
    service_ms = noisy(0.2)
    service_ms[[100, 700]] *= wrong
    held = found(service_ms)
    assert held.outliers["gpu"].request.tolist() == [100, 700]
    assert len(held.executed["gpu"].request) == 998
    (warning,) = held.warnings()
    assert warning.startswith("2 service times of gpu (up to ")


@pytest.mark.parametrize("sigma", [0.0, 0.5, 1.5])
def test_noise_has_no_outliers(sigma: float) -> None:
    assert not found(noisy(sigma)).outliers


def test_so_many_that_they_are_no_accident_are_kept() -> None:
    service_ms = noisy(0.2)
    service_ms[::50] *= 1000.0
    assert not found(service_ms).outliers


def test_of_a_few_executions_one_may_be_wrong() -> None:
    service_ms = noisy(0.2, 12)
    service_ms[4] *= 1e6
    assert found(service_ms).outliers["gpu"].request.tolist() == [4]
