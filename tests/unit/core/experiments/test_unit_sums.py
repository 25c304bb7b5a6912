import math
import random

import pytest

from router_backend.core.experiments.unit_sums import UnitSums


def filled(units: int, seed: int = 0) -> tuple[UnitSums, dict[tuple[bool, str], list[float]]]:
    """Return sums of 2000 estimates, and the estimates of each unit."""
    rng = random.Random(seed)
    sums, by_unit = UnitSums(), {}
    level = {unit: rng.gauss(5.0, 3.0) for unit in range(units)}
    for number in range(2000):
        unit = rng.randrange(units)
        treated, estimate = unit % 2 == 0, rng.gauss(level[unit], 1.0)
        sums.update(treated, estimate, f"user-{unit}", number)
        by_unit.setdefault((treated, f"user-{unit}"), []).append(estimate)
    return sums, by_unit


def deviations(by_unit: dict[tuple[bool, str], list[float]], mean: float) -> float:
    """Return how many standard errors between units the estimates are from a mean."""
    distances = [sum(each) - len(each) * mean for each in by_unit.values()]
    return abs(sum(distances)) / math.sqrt(sum(distance**2 for distance in distances))


@pytest.mark.parametrize("k", [1.0, 2.0, 3.0])
def test_the_bounds_are_k_standard_errors_between_units_away(k):
    sums, by_unit = filled(units=18)  # no two of them share a bucket
    for bound in sums.interval(k * k):
        assert deviations(by_unit, bound) == pytest.approx(k)


def test_units_beyond_the_buckets_are_summed_together_and_change_little():
    sums, by_unit = filled(units=1000)
    for bound in sums.interval(9.0):
        assert deviations(by_unit, bound) == pytest.approx(3.0, rel=0.2)


def test_there_are_no_finite_bounds_for_as_few_units_as_squared_deviations():
    sums, _ = filled(units=14)
    assert sums.interval(9.0) is not None
    assert sums.interval(15.0) is None


def equal(units: int) -> UnitSums:
    """Return sums of one estimate of each unit."""
    sums = UnitSums()
    for number in range(units):
        sums.update(number % 2 == 0, float(number), f"user-{number}", number)
    return sums


def test_equal_units_have_finite_bounds_if_they_are_more_than_the_squared_deviations():
    assert equal(14).interval(13.99) is not None
    assert equal(14).interval(14.0) is None


@pytest.mark.parametrize(("units", "shown"), [(8, False), (9, False), (10, True), (14, True)])
def test_each_arm_needs_five_units(units, shown):
    assert (equal(units).interval(1.0) is not None) is shown


def test_an_arm_without_estimates_has_too_few_units():
    sums = UnitSums()
    for number in range(100):
        sums.update(True, float(number), "", number)
    assert sums.interval(1.0) is None


def test_one_unit_that_sends_most_requests_is_not_made_up_for_by_small_ones():
    sums, _ = filled(units=40)
    assert sums.interval(4.0) is not None
    for number in range(20_000):
        sums.update(True, 5.0, "eager", number)
    assert sums.interval(4.0) is None


def test_estimates_without_a_unit_are_spread_over_the_buckets():
    sums, rng = UnitSums(), random.Random(0)
    for number in range(2000):
        sums.update(rng.random() < 0.5, rng.gauss(3.0, 2.0), "", number)
    low, high = sums.interval(9.0)
    assert low < 3.0 < high
    assert high - low < 1.0
