import math
import random

import pytest

from router_backend.core.learning.change import ChangeDetector


def settled(noise: float, seed: int = 0) -> tuple[ChangeDetector, random.Random]:
    """Return a detector after 300 observations of this relative noise, and the source of the noise."""
    detector, rng = ChangeDetector(), random.Random(seed)
    for _ in range(300):
        detector.update(rng.gauss(0.0, noise))
    return detector, rng


def observations_to_alarm(detector: ChangeDetector, rng: random.Random, factor: float, noise: float) -> int:
    for count in range(1, 1000):
        if detector.update(math.log(factor) + rng.gauss(0.0, noise)):
            return count
    pytest.fail("the change was never detected")


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("factor", [2.5, 1 / 2.5])
def test_a_change_by_two_and_a_half_is_detected_within_five_observations(factor, noise):
    detector, rng = settled(noise)
    assert observations_to_alarm(detector, rng, factor, noise) <= 5
    assert detector.alarms == 1


def test_a_change_under_strong_noise_is_detected_later():
    detector, rng = settled(0.3)
    assert 2 <= observations_to_alarm(detector, rng, 2.5, 0.3) <= 12


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_alone_raises_no_alarm(noise, seed):
    detector, rng = ChangeDetector(), random.Random(seed)
    assert not any(detector.update(rng.gauss(0.0, noise)) for _ in range(3000))
    assert detector.alarms == 0


def test_drift_within_the_slack_raises_no_alarm():
    """A persistent error of one standard deviation is left to the level filter."""
    detector, _ = settled(0.1)
    assert not any(detector.update(0.05) for _ in range(500))


def test_a_device_without_noise_may_deviate_by_five_percent():
    detector = ChangeDetector()
    for _ in range(2000):
        detector.update(0.0)
    assert not any(detector.update(0.049) for _ in range(200))


def test_an_alarm_is_raised_once_and_resets_the_sums():
    detector, rng = settled(0.05)
    observations_to_alarm(detector, rng, 2.5, 0.05)
    assert not any(detector.update(rng.gauss(0.0, 0.05)) for _ in range(200))
    assert detector.alarms == 1


@pytest.mark.parametrize("surprise", [5.0, -5.0])
def test_an_alarm_takes_three_observations_however_far_they_are_off(surprise):
    detector = ChangeDetector()
    assert [detector.update(surprise) for _ in range(3)] == [False, False, True]


def test_every_alarm_is_counted():
    detector, rng = settled(0.05)
    for count in (1, 2, 3):
        observations_to_alarm(detector, rng, 2.5, 0.05)
        assert detector.alarms == count


@pytest.mark.parametrize("surprise", [0.6, -0.6])
def test_surprises_add_up_in_one_direction_only(surprise):
    to_and_fro, onward = ChangeDetector(), ChangeDetector()
    assert not any(to_and_fro.update(surprise * (-1) ** i) for i in range(200))
    assert any(onward.update(surprise) for _ in range(20))


@pytest.mark.parametrize("sign", [1, -1])
def test_calm_observations_let_a_surprise_be_forgotten(sign):
    detector = ChangeDetector()
    for _ in range(50):
        assert not detector.update(0.9 * sign)
        assert not any(detector.update(0.0) for _ in range(4))


@pytest.mark.parametrize("size", [0.45, 0.5, 0.6, 0.7, 0.8, 1.0, 2.0])
def test_a_change_is_noticed_as_soon_upwards_as_downwards(size):
    def count(sign: int) -> int:
        detector = ChangeDetector()
        detector.update(-0.6 * sign)
        return next(number for number in range(1, 1000) if detector.update(size * sign))

    assert count(1) == count(-1)
