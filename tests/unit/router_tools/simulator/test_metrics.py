import math
from dataclasses import replace

import numpy as np
import pytest

from router_tools.simulator.metrics import measure
from router_tools.simulator.record import EXECUTION, RunRecord


def record(
    latency_ms: list[float],
    *,
    deadline_ms: float = 10.0,
    service_ms: list[float] | None = None,
    expected_ms: list[float] | None = None,
    variants: list[int] | None = None,
    half_width: float = 0.5,
    best: list[int] | None = None,
    calm_s: float = 0.0,
    preferred: list[bool] | None = None,
) -> RunRecord:
    """Return a record with an arrival each second, each answered when the next arrives; NaN if refused."""
    count = len(latency_ms)
    answered = [index for index, value in enumerate(latency_ms) if not math.isnan(value)]
    executions = np.zeros(len(answered), EXECUTION)
    executions["request"] = answered
    executions["latency_ms"] = np.array(latency_ms)[answered]
    executions["service_ms"] = executions["latency_ms"] if service_ms is None else service_ms
    executions["expected_service_ms"] = executions["service_ms"] if expected_ms is None else expected_ms
    executions["expected_latency_ms"] = executions["expected_service_ms"]
    executions["variant"] = variants or [0] * len(answered)
    executions["half_width"] = half_width
    return RunRecord(
        variants=("a", "b"),
        arrival_s=np.arange(1.0, count + 1.0),
        deadline_ms=np.full(count, deadline_ms),
        latency_ms=np.array(latency_ms),
        refused=np.isnan(latency_ms),
        preferred=np.array(preferred or [True] * count),
        best=np.array(best or [0] * count),
        calm_s=calm_s,
        power_w=(2.0, 10.0),
        executions=executions,
        extra_load=0.0,
        decisions_per_s=1e5,
    )


def test_latencies_are_compared_with_the_oracle() -> None:
    oracle = record([4.0] * 100)
    metrics = measure(record([6.0] * 98 + [100.0] * 2), oracle)
    assert metrics.mean_ms == pytest.approx(7.88)
    assert metrics.mean_ratio == pytest.approx(7.88 / 4.0)
    assert (metrics.p99_ms, metrics.p99_ratio) == (100.0, 25.0)


def test_goodput_counts_answers_in_time() -> None:
    nan = float("nan")
    metrics = measure(record([5.0, 15.0, nan, 10.0]), record([5.0, 5.0, 5.0, 15.0]))
    assert (metrics.in_time, metrics.answered, metrics.refused) == (0.5, 0.75, 0.25)
    assert metrics.goodput_per_s == 0.5, "two in four seconds"
    assert metrics.goodput_ratio == pytest.approx(2 / 3)
    assert metrics.mean_ms == 10.0, "over what was answered"


def test_requests_of_the_highest_priority_are_also_counted_alone() -> None:
    preferred = [True, False, True, True]
    found = record([5.0, 15.0, float("nan"), 10.0], preferred=preferred)
    assert measure(found, record([5.0] * 4)).in_time_preferred == pytest.approx(2 / 3)


def test_regret_is_the_excess_latency_of_the_first_requests_relative_to_the_oracles_mean() -> None:
    latency_ms = [8.0] * 50 + [5.0] * 150 + [4.0] * 100
    metrics = measure(record(latency_ms), record([4.0] * 300))
    assert metrics.regret_50 == pytest.approx(4.0 / 4.0)
    assert metrics.regret_200 == pytest.approx((50 * 4.0 + 150 * 1.0) / 200 / 4.0)


def test_shares_are_shares_of_the_answers() -> None:
    metrics = measure(record([1.0] * 4, variants=[0, 1, 1, 1]), record([1.0] * 4))
    assert metrics.shares == {"a": 0.25, "b": 0.75}


def test_latencies_are_nan_if_nothing_is_answered() -> None:
    metrics = measure(record([float("nan")] * 3), record([1.0] * 3))
    assert math.isnan(metrics.mean_ms)
    assert math.isnan(metrics.regret_50)
    assert (metrics.answered, metrics.in_time, metrics.goodput_ratio) == (0.0, 0.0, 0.0)
    assert metrics.calibration.executions == 0


def test_predictions_are_evaluated_after_the_first_fifty_executions_of_each_variant() -> None:
    """The first 50 predictions are far off; the later ones, which count, are off by 10 %."""
    variants = [0] * 60 + [1] * 70
    service_ms = [10.0 + index for index in range(130)]
    expected_ms = [value * 1.1 for value in service_ms]
    for position in (*range(50), *range(60, 110)):
        expected_ms[position] = 1e4
    judged = measure(
        record(service_ms, service_ms=service_ms, expected_ms=expected_ms, variants=variants),
        record([1.0] * 130),
    ).calibration
    observed = np.array(service_ms)[[*range(50, 60), *range(110, 130)]]
    assert judged.executions == 30
    assert judged.service_error == pytest.approx(0.1)
    assert judged.service_r2 == pytest.approx(
        1.0 - np.sum((0.1 * observed) ** 2) / np.sum((observed - observed.mean()) ** 2)
    )


@pytest.mark.parametrize(("half_width", "coverage"), [(0.05, 0.0), (0.15, 0.5), (0.3, 1.0)])
def test_an_interval_covers_the_latencies_inside_it(half_width: float, coverage: float) -> None:
    latency_ms = [10.0] * 150
    expected_ms = [10.0 * math.exp(0.1 if index % 2 else -0.2) for index in range(150)]
    run = record(latency_ms, expected_ms=expected_ms, half_width=half_width)
    assert measure(run, run).calibration.coverage == pytest.approx(coverage)


def test_energy_is_power_times_true_service_time_of_the_answers() -> None:
    oracle = record([4.0] * 4, service_ms=[1.0] * 4)
    metrics = measure(record([8.0] * 4, service_ms=[2.0] * 4, variants=[0, 0, 1, 1]), oracle)
    assert metrics.energy_j == pytest.approx((2.0 + 10.0) / 2 * 2e-3)
    assert metrics.energy_ratio == pytest.approx(12e-3 / 2e-3)
    assert metrics.balanced == pytest.approx(math.sqrt(2.0 * 6.0))


def test_the_energy_of_late_answers_is_charged_to_those_in_time() -> None:
    oracle = record([4.0] * 4, service_ms=[1.0] * 4)
    metrics = measure(record([8.0, 8.0, 8.0, 16.0], service_ms=[3.0] * 4), oracle)
    assert metrics.energy_in_time_j == pytest.approx(4 * 2.0 * 3e-3 / 3)
    assert metrics.balanced_in_time == pytest.approx(math.sqrt(2.5 * (8e-3 / 2e-3)))
    assert math.isnan(measure(record([11.0]), oracle).energy_in_time_j), "none was in time"


def test_the_makespan_is_the_time_of_the_last_answer() -> None:
    metrics = measure(record([9_000.0, 1.0, 1.0]), record([1.0] * 3))
    assert metrics.makespan_s == pytest.approx(1.0 + 9.0)


def test_the_share_of_the_best_variant_is_counted_from_the_hundred_and_first_request() -> None:
    """What is best depends on the request; those that were refused do not count."""
    nan = float("nan")
    latency_ms, best = [1.0] * 100 + [1.0, 1.0, nan, 1.0, 1.0], [0] * 100 + [0, 1, 1, 1, 1]
    run = record(latency_ms, variants=[1] * 100 + [0, 1, 1, 0], best=best)
    assert measure(run, record([1.0] * 105)).best_after_100 == pytest.approx(3 / 4)
    few = record([1.0] * 100, variants=[1] * 100)
    assert math.isnan(measure(few, few).best_after_100)


@pytest.mark.parametrize(("calm_s", "share"), [(50.5, 1.0), (50.0, 50 / 51), (1.0, 0.5), (100.5, math.nan)])
def test_after_an_event_a_variant_has_two_hundred_requests_to_come_back(calm_s: float, share: float) -> None:
    """One request a second: the best variant serves from second 251 on, and the last comes at 300."""
    run = record([1.0] * 300, variants=[1] * 250 + [0] * 50, calm_s=calm_s)
    found = measure(run, record([1.0] * 300)).best_after_events
    assert found == pytest.approx(share, nan_ok=True)


def test_after_an_event_a_variant_has_ten_seconds_to_come_back() -> None:
    """A hundred requests a second: 10 s are 1,000 requests; the best one serves from the 1,100th on."""
    count = 2000
    run = record([1.0] * count, variants=[1] * 1100 + [0] * 900, calm_s=1.0)
    run = replace(run, arrival_s=run.arrival_s / 100.0)
    assert measure(run, run).best_after_events == pytest.approx(900 / 901, rel=1e-3)
    calmer = replace(run, calm_s=1.5)
    assert measure(calmer, run).best_after_events == 1.0


def test_without_an_event_there_is_nothing_to_come_back_from() -> None:
    run = record([1.0] * 300)
    assert math.isnan(measure(run, run).best_after_events)
