import math
import random
import statistics

import pytest

from router_backend.core.experiments.confidence_sequence import DifferenceOfMeans
from router_backend.core.experiments.unit_sums import UnitSums

DIFFERENCE_MS = 1.0


def answers(seed: int, fraction: float, count: int):
    """Heavy-tailed latencies of around 10 ms that drift to twice that, the treatment's 1 ms longer."""
    rng = random.Random(seed)
    for number in range(count):
        treated = rng.random() < fraction
        level = 1.0 + number / count
        yield treated, level * rng.lognormvariate(2.0, 0.8) + DIFFERENCE_MS * treated


@pytest.mark.statistics
@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_in_19_of_20_experiments_the_interval_always_contains_the_difference(fraction):
    missed = 0
    for seed in range(200):
        difference = DifferenceOfMeans(coverage=0.95)
        for number, (treated, latency_ms) in enumerate(answers(seed, fraction, 2000)):
            difference.update(treated, latency_ms, fraction, f"{number}")
            interval = difference.interval() if number % 10 == 0 else None
            if interval is not None and not interval[0] <= DIFFERENCE_MS <= interval[1]:
                missed += 1
                break
    assert missed <= 0.05 * 200


def test_a_rollout_while_everything_gets_slower_does_not_look_like_the_treatments_fault():
    rng = random.Random(0)
    difference = DifferenceOfMeans(coverage=0.95)
    latencies: dict[bool, list[float]] = {True: [], False: []}
    for fraction, level_ms in ((0.1, 10.0), (0.5, 20.0)):
        for _ in range(5000):
            treated = rng.random() < fraction
            latencies[treated].append(level_ms + rng.gauss(0.0, 1.0))
            difference.update(treated, latencies[treated][-1], fraction, "")
    plain_ms = sum(latencies[True]) / len(latencies[True]) - sum(latencies[False]) / len(latencies[False])
    low_ms, high_ms = difference.interval()
    assert plain_ms > 3.0
    assert low_ms < 0.0 < high_ms < 1.0


def by_formula(
    answers: list[tuple[bool, float, float]], coverage: float, ratio: float = 1.0
) -> tuple[float, float, list[float]]:
    """Return mean, half width and estimates by the docstring, for answers (treated, value, fraction)."""
    values: list[float] = []
    estimates: list[float] = []
    for treated, value, fraction in answers:
        before = statistics.fmean(values) if values else value
        distance = value - before
        estimate = distance / fraction if treated else -ratio * distance / (1.0 - fraction)
        estimates.append(estimate + (1.0 - ratio) * before)
        values.append(value)
    alpha, t = 1.0 - coverage, len(values)
    rho2 = (-2.0 * math.log(alpha) + math.log(1.0 - 2.0 * math.log(alpha))) / 5000
    deviations = math.sqrt(
        2.0 * (t * rho2 + 1.0) / (t**2 * rho2) * math.log(math.sqrt(t * rho2 + 1.0) / alpha)
    )
    return statistics.fmean(estimates), statistics.pstdev(estimates) * deviations, estimates


@pytest.mark.parametrize("coverage", [0.9, 0.95])
@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_mean_and_interval_are_those_of_the_formula(coverage, ratio):
    difference, units, rng = DifferenceOfMeans(coverage, ratio), UnitSums(), random.Random(0)
    answers = []
    for number in range(400):
        fraction = 0.2 if number < 200 else 0.6
        answers.append((rng.random() < fraction, rng.lognormvariate(2.0, 0.8), fraction))
        difference.update(*answers[-1], unit="")
    mean, width, estimates = by_formula(answers, coverage, ratio)
    for number, ((treated, *_), estimate) in enumerate(zip(answers, estimates, strict=True)):
        units.update(treated, estimate, "", number)
    assert difference.get() == pytest.approx(mean)
    low, high = units.interval((width / statistics.pstdev(estimates)) ** 2 * len(answers))
    assert difference.interval() == pytest.approx((min(low, mean - width), max(high, mean + width)))
    assert difference.interval() == pytest.approx((mean - width, mean + width), abs=0.5 * width)


def test_units_that_are_more_alike_than_their_requests_make_no_interval_narrower():
    """Each unit has one answer of 15 and one of 5, in turn."""
    difference, answers = DifferenceOfMeans(coverage=0.95), []
    for number in range(400):
        answers.append((number // 2 % 2 == 0, 5.0 if number % 2 else 15.0, 0.5))
        difference.update(*answers[-1], unit=f"user-{number // 2}")
    mean, width, _ = by_formula(answers, 0.95)
    assert difference.interval() == pytest.approx((mean - width, mean + width))


@pytest.mark.statistics
def test_the_interval_of_a_ratio_excludes_zero_only_beyond_that_ratio():
    """The treatment takes 1.5 times as long: the mean is not above 1.5 times the control's, but above 1.2."""
    for ratio, most, least in ((1.5, 0.05 * 100, 0), (1.2, 100, 95)):
        above = 0
        for seed in range(100):
            difference, rng = DifferenceOfMeans(coverage=0.9, ratio=ratio), random.Random(seed)
            for _ in range(3000):
                treated = rng.random() < 0.3
                difference.update(treated, rng.lognormvariate(2.0, 0.5) * (1.5 if treated else 1.0), 0.3, "")
            above += difference.interval()[0] > 0.0
        assert least <= above <= most


def test_a_difference_is_significant_with_enough_answers():
    difference = DifferenceOfMeans(coverage=0.95)
    for treated, latency_ms in answers(0, 0.5, 20_000):
        difference.update(treated, latency_ms, 0.5, "")
    assert difference.interval()[0] > 0.0


def test_a_few_answers_show_nothing():
    difference = DifferenceOfMeans(coverage=0.95)
    for number in range(99):
        difference.update(number % 2 == 0, 1.0, 0.5, "")
    assert (difference.get(), difference.interval()) == (None, None)
    difference.update(False, 1.0, 0.5, "")
    assert (difference.get(), difference.interval()) == (0.0, (0.0, 0.0))


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_answers_while_all_get_one_arm_show_nothing(fraction):
    difference = DifferenceOfMeans(coverage=0.95)
    for _ in range(200):
        difference.update(True, 1.0, fraction, "")
        difference.update(False, 1.0, fraction, "")
    assert difference.get() is None


def of_users(seed: int, users: int, requests: int, fraction: float = 0.5, effect_ms: float = 0.0):
    """Answers to users who keep their arm and differ much in their mean latency, of 10 ms."""
    rng = random.Random(seed)
    means_ms = [rng.lognormvariate(2.0, 0.8) for _ in range(users)]
    treated = [rng.random() < fraction for _ in range(users)]
    for _ in range(requests):
        user = rng.randrange(users)
        latency_ms = means_ms[user] * rng.lognormvariate(0.0, 0.5) + effect_ms * treated[user]
        yield treated[user], latency_ms, fraction, f"user-{seed}-{user}"


def excludes(interval: tuple[float, float] | None, value: float) -> bool:
    return interval is not None and not interval[0] <= value <= interval[1]


@pytest.mark.statistics
@pytest.mark.parametrize(("users", "fraction"), [(20, 0.5), (200, 0.5), (200, 0.1)])
def test_in_19_of_20_experiments_with_sticky_users_the_interval_always_contains_no_difference(
    users, fraction
):
    """Of 20 users, that of independent answers excluded it in 155 of 200 experiments."""
    excluded = shown = 0
    for seed in range(200):
        difference = DifferenceOfMeans(coverage=0.95)
        intervals = []
        for number, answer in enumerate(of_users(seed, users, 2000, fraction)):
            difference.update(*answer)
            if number % 50 == 0:
                intervals.append(difference.interval())
        shown += intervals[-1] is not None
        excluded += any(excludes(each, 0.0) for each in intervals)
    assert excluded <= 0.05 * 200
    assert shown >= 0.9 * 200


def test_sticky_users_do_not_hide_a_large_difference():
    found = 0
    for seed in range(10):
        difference = DifferenceOfMeans(coverage=0.95)
        for answer in of_users(seed, 200, 3000, effect_ms=10.0):
            difference.update(*answer)
        found += excludes(difference.interval(), 0.0)
    assert found >= 9


def test_units_of_one_request_cost_at_most_a_quarter_of_the_precision():
    sticky, independent = DifferenceOfMeans(coverage=0.95), DifferenceOfMeans(coverage=0.95)
    for number, (treated, latency_ms) in enumerate(answers(0, 0.5, 5000)):
        sticky.update(treated, latency_ms, 0.5, f"request-{number}")
        independent.update(treated, latency_ms, 0.5, "")
    widths = [each.interval()[1] - each.interval()[0] for each in (sticky, independent)]
    assert widths[0] == pytest.approx(widths[1], rel=0.25)


def test_with_too_few_users_in_an_arm_no_interval_is_shown():
    difference = DifferenceOfMeans(coverage=0.95)
    for answer in of_users(0, 5, 5000):
        difference.update(*answer)
    assert difference.get() is not None
    assert difference.interval() is None
