"""What counts as slow, and as the treatment's share of the requests."""

import pytest

from router_backend.core.experiments.guard import Guard
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.latency_histogram import LatencyHistogram
from router_backend.core.experiments.share_test import ShareTest


def control(*answers: tuple[int, float]) -> LatencyHistogram:
    """Return a number of answers of the same latency."""
    histogram = LatencyHistogram()
    for count, latency_ms in answers:
        add(histogram, count, latency_ms)
    return histogram


def add(histogram: LatencyHistogram, count: int, latency_ms: float) -> None:
    for _ in range(count):
        histogram.update(latency_ms)


def stop(guard: Guard, latency_ms: float) -> str | None:
    """Return why answers of this latency stop the treatment, each after nine fast ones of the control."""
    for _ in range(50):
        for _ in range(9):
            assert guard.answered(False, 1.0, fraction=0.1, unit="") is None
        reason = guard.answered(True, latency_ms, fraction=0.1, unit="")
        if reason is not None:
            return reason
    return None


@pytest.mark.parametrize(("count", "fired"), [(99, False), (100, True)])
def test_nothing_is_slow_before_the_control_has_a_hundred_answers(count, fired):
    assert (stop(Guard(Guardrails(), control((count, 10.0))), 50.0) is not None) is fired


def test_an_answer_as_slow_as_the_controls_p99_is_not_slow():
    histogram = control((100, 10.0))
    assert stop(Guard(Guardrails(), histogram), histogram.quantile(0.99)) is None


@pytest.mark.parametrize(("more", "fired"), [(11, True), (12, False)])
def test_the_limit_of_slow_is_updated_when_the_control_has_an_eighth_more_answers(more, fired):
    histogram = control((100, 10.0))
    guard = Guard(Guardrails(), histogram)
    assert guard.answered(True, 50.0, fraction=0.1, unit="") is None
    add(histogram, more, 100.0)
    assert (stop(guard, 50.0) is not None) is fired


def test_the_reason_states_the_shares_and_the_limit_of_slow():
    reason = stop(Guard(Guardrails(), control((100, 10.0))), 50.0)
    assert reason.startswith("too many slow answers: 5 of 5 above the control's p99, ")
    assert reason.endswith(" ms, were the treatment's")


@pytest.mark.parametrize(("units", "fired"), [(3, False), (8, True)])
def test_only_the_first_failure_of_a_unit_counts(units, fired):
    guard = Guard(Guardrails(), LatencyHistogram())
    reasons = [guard.failed(True, 0.1, f"user-{number % units}") for number in range(1000)]
    assert any(reasons) is fired


def test_the_first_slow_answer_of_a_unit_is_counted_apart_from_its_first_failure():
    guard = Guard(Guardrails(mean_ratio=None), control((100, 10.0)))
    for number in range(4):
        assert guard.failed(True, 0.1, f"user-{number}") is None
        assert guard.answered(True, 50.0, 0.1, f"user-{number}") is None
    assert guard.answered(True, 50.0, 0.1, "user-5") is not None


@pytest.mark.parametrize(("more", "fired"), [(11, False), (12, True)])
def test_the_means_are_compared_when_the_control_has_an_eighth_more_answers(more, fired):
    histogram = control((100, 10.0))
    guard = Guard(Guardrails(slow_ratio=None), histogram)
    assert guard.answered(False, 10.0, 0.5, "") is None
    reasons = [
        guard.answered(number % 2 == 0, 30.0 if number % 2 == 0 else 10.0, 0.5, "") for number in range(400)
    ]
    assert not any(reasons)
    add(histogram, more, 10.0)
    assert (guard.answered(False, 10.0, 0.5, "") is not None) is fired


@pytest.mark.parametrize(("mean_ratio", "fired"), [(1.0, True), (1.5, False), (None, False)])
def test_a_treatment_within_the_ratio_of_means_is_not_stopped(mean_ratio, fired):
    histogram = control((99, 10.0))
    guard = Guard(Guardrails(slow_ratio=None, mean_ratio=mean_ratio), histogram)
    for number in range(2000):
        guard.answered(number % 2 == 0, 13.0 if number % 2 == 0 else 10.0, 0.5, "")
    add(histogram, 1, 10.0)
    assert (guard.answered(False, 10.0, 0.5, "") is not None) is fired


def mean_stop(fast_ms: float, slow_ms: float, units: int = 10**9) -> str | None:
    """Return why a treatment of this mean latency is stopped after a thousand answers of some units."""
    histogram = control((99, fast_ms))
    guard = Guard(Guardrails(slow_ratio=None), histogram)
    for number in range(2000):
        if number % 2:
            guard.answered(False, fast_ms, 0.5, f"control-{number}")
        else:
            guard.answered(True, slow_ms, 0.5, f"treated-{number % (2 * units)}")
    add(histogram, 1, fast_ms)
    return guard.answered(False, fast_ms, 0.5, "")


@pytest.mark.parametrize("unit_ms", [1000.0, 1.0, 0.001])
def test_the_reason_states_by_how_much_the_mean_is_too_high_at_least(unit_ms):
    """It is 30 where at most 15 are allowed."""
    reason = mean_stop(10.0 * unit_ms, 30.0 * unit_ms)
    start, _, least = reason.removesuffix(" ms").rpartition(" ")
    assert start == (
        "too slow in the mean: the treatment's latency is above 1.5 times the control's, by at least"
    )
    assert 0.0 < float(least) < 15.0 * unit_ms


@pytest.mark.parametrize(("units", "fired"), [(3, False), (500, True)])
def test_a_mean_of_few_units_stops_no_treatment(units, fired):
    assert (mean_stop(10.0, 30.0, units) is not None) is fired


@pytest.mark.parametrize("false_stop_rate", [0.01, 0.0001])
def test_each_of_the_three_tests_has_a_third_of_the_rate_of_false_stops(false_stop_rate):
    guard = Guard(Guardrails(false_stop_rate=false_stop_rate), LatencyHistogram())
    test = ShareTest(ratio=1.5, alpha=false_stop_rate / 3)
    alone = ShareTest(ratio=1.5, alpha=false_stop_rate)
    stops = []
    for number in range(200):
        treated = number % 3 > 0
        stopped = test.update(treated, 0.25)
        assert (guard.failed(treated, 0.25, "") is not None) is stopped
        stops.append((stopped, alone.update(treated, 0.25)))
    assert (False, True) in stops
