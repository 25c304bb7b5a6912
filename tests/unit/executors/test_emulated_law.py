import math
import random
import statistics

import pytest

from router_backend.executors.emulated_law import EmulatedLaw


def noiseless(points_ms: dict[int, float]) -> EmulatedLaw:
    return EmulatedLaw(points_ms, noise_sigma=0.0, rng=random.Random(0))


@pytest.mark.parametrize(("batch_size", "ms"), [(2, 4.0), (3, 5.0), (4, 6.0), (6, 7.0), (8, 8.0), (16, 12.0)])
def test_the_mean_is_linear_between_the_points_and_beyond_the_last(batch_size: int, ms: float) -> None:
    assert noiseless({8: 8.0, 2: 4.0, 4: 6.0}).draw_ms(batch_size) == pytest.approx(ms)


def test_the_mean_is_constant_below_the_first_point_and_for_a_single_point() -> None:
    assert noiseless({4: 6.0, 8: 8.0}).draw_ms(1) == 6.0
    assert noiseless({4: 6.0}).draw_ms(32) == 6.0


def test_the_noise_is_log_normal_around_the_mean_with_its_sigma() -> None:
    law = EmulatedLaw({1: 10.0}, noise_sigma=0.2, rng=random.Random(1))
    drawn = [law.draw_ms(1) for _ in range(20_000)]
    assert statistics.mean(drawn) == pytest.approx(10.0, rel=0.01)
    assert statistics.stdev(map(math.log, drawn)) == pytest.approx(0.2, rel=0.02)


def test_equal_seeds_give_equal_times() -> None:
    first, second = (EmulatedLaw({1: 10.0}, 0.1, random.Random("7 a_0")) for _ in range(2))
    assert [first.draw_ms(1) for _ in range(5)] == [second.draw_ms(1) for _ in range(5)]
