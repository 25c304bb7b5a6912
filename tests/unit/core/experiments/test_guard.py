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
            assert guard.answered(False, 1.0, fraction=0.1) is None
        reason = guard.answered(True, latency_ms, fraction=0.1)
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
    assert guard.answered(True, 50.0, fraction=0.1) is None
    add(histogram, more, 100.0)
    assert (stop(guard, 50.0) is not None) is fired


def test_the_reason_states_the_shares_and_the_limit_of_slow():
    reason = stop(Guard(Guardrails(), control((100, 10.0))), 50.0)
    assert reason.startswith("too many slow answers: 5 of 5 above the control's p99, ")
    assert reason.endswith(" ms, were the treatment's")


@pytest.mark.parametrize(("treated", "untreated"), [(0, 0), (10, 990), (500, 500), (300, 700)])
@pytest.mark.parametrize("between", [0, 9])
def test_the_share_is_the_larger_of_the_fraction_and_the_treatments_share_of_requests(
    treated, untreated, between
):
    """Failures of the treatment, with answers of the control between them."""
    guard, test = Guard(Guardrails(), LatencyHistogram()), ShareTest(ratio=1.5, alpha=0.005)
    for is_treated, count in ((True, treated), (False, untreated)):
        for _ in range(count):
            guard.answered(is_treated, 10.0, fraction=0.1)
    for _ in range(100):
        counted = treated + untreated
        stopped = test.update(True, max(0.1, treated / counted) if counted else 0.1)
        assert (guard.failed(True, fraction=0.1) is not None) is stopped
        if stopped:
            break
        for _ in range(between):
            guard.answered(False, 10.0, fraction=0.1)
        treated, untreated = treated + 1, untreated + between
