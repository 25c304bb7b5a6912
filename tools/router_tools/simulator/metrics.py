"""Metrics of one run."""

import math
from dataclasses import dataclass

import numpy as np

from router_tools.simulator.array import Array
from router_tools.simulator.calibration import Calibration, calibrate
from router_tools.simulator.record import RunRecord

RECOVERY_REQUESTS = 200
RECOVERY_S = 10.0


@dataclass(frozen=True)
class RunMetrics:
    """Metrics of one run; ratios are relative to the oracle's run with the same seed.

    Latency is the time from arrival to answer, including failed attempts. Unanswered requests have none.

    Args:
        mean_ms: mean latency.
        p99_ms: 99th percentile of the latency.
        mean_ratio: mean latency relative to the oracle's.
        p999_ms: 99.9th percentile of the latency.
        extra_load: service time of second copies of slow requests, as a share of that of the requests.
        p99_ratio: 99th percentile relative to the oracle's.
        in_time: share of all requests answered within their deadline.
        in_time_preferred: the same of the requests of the highest priority.
        goodput_per_s: requests answered within their deadline, per second.
        goodput_ratio: goodput relative to the oracle's.
        answered: share of all requests that were answered.
        refused: share of all requests that the router refused on arrival.
        regret_50: mean latency in excess of the oracle's over the first 50 requests, of those that both
            answered, as a share of the oracle's mean latency over the run.
        regret_200: the same over the first 200 requests.
        best_after_100: share of the answers, from the 101st request on, by the variant with the lowest mean
            service time for the request.
        best_after_events: the same for the requests that came more than 200 requests and 10 s after the last
            drift, outage or failure; NaN if none did, or there was no such event.
        makespan_s: time of the last answer.
        energy_j: mean energy of an answer: the power of the variant times the service time. Failed attempts
            are left out, and requests that a device serves together count in full.
        energy_ratio: energy of an answer relative to the oracle's.
        energy_in_time_j: energy of all answers divided by the number of answers in time, so that the energy
            of late answers counts as wasted.
        balanced: geometric mean of mean_ratio and energy_ratio, so that 1 % of either counts the same.
        balanced_in_time: the same with the energy per answer in time.
        shares: share of the answers by variant.
        calibration: quality of the router's predictions.
        decisions_per_s: decisions per second of real time spent deciding; depends on the machine.
    """

    mean_ms: float
    p99_ms: float
    mean_ratio: float
    p99_ratio: float
    p999_ms: float
    extra_load: float
    in_time: float
    in_time_preferred: float
    goodput_per_s: float
    goodput_ratio: float
    answered: float
    refused: float
    regret_50: float
    regret_200: float
    best_after_100: float
    best_after_events: float
    makespan_s: float
    energy_j: float
    energy_ratio: float
    energy_in_time_j: float
    balanced: float
    balanced_in_time: float
    shares: dict[str, float]
    calibration: Calibration
    decisions_per_s: float


def measure(run: RunRecord, oracle: RunRecord) -> RunMetrics:
    """Compute the metrics of a run.

    Args:
        run: the record of the run.
        oracle: the record of the oracle's run with the same seed.
    """
    in_time = _in_time(run)
    mean_ms, p99_ms = _mean_and_p99_ms(run)
    oracle_mean_ms, oracle_p99_ms = _mean_and_p99_ms(oracle)
    mean_ratio = mean_ms / oracle_mean_ms
    energy_ratio = _energy_j(run) / _energy_j(oracle)
    energy_in_time_j = _energy_in_time_j(run)
    lost_ms = run.latency_ms - oracle.latency_ms
    return RunMetrics(
        mean_ms=mean_ms,
        p99_ms=p99_ms,
        mean_ratio=mean_ratio,
        p99_ratio=p99_ms / oracle_p99_ms,
        p999_ms=float(np.percentile(_answered_ms(run), 99.9)) if len(_answered_ms(run)) else float("nan"),
        extra_load=run.extra_load,
        in_time=in_time,
        in_time_preferred=_mean(run.latency_ms[run.preferred] <= run.deadline_ms[run.preferred]),
        goodput_per_s=in_time * len(run.latency_ms) / float(run.arrival_s[-1]),
        goodput_ratio=in_time / _in_time(oracle) if _in_time(oracle) else float("nan"),
        answered=len(_answered_ms(run)) / len(run.latency_ms),
        refused=float(run.refused.mean()),
        regret_50=_mean(lost_ms[:50]) / oracle_mean_ms,
        regret_200=_mean(lost_ms[:200]) / oracle_mean_ms,
        best_after_100=_best_share(run, 100),
        best_after_events=_best_share(run, _recovered(run)) if run.calm_s else float("nan"),
        makespan_s=float(np.nanmax(run.arrival_s + run.latency_ms / 1e3, initial=0.0)),
        energy_j=_energy_j(run),
        energy_ratio=energy_ratio,
        energy_in_time_j=energy_in_time_j,
        balanced=math.sqrt(mean_ratio * energy_ratio),
        balanced_in_time=math.sqrt(mean_ratio * energy_in_time_j / _energy_in_time_j(oracle)),
        shares={name: _mean(run.executions["variant"] == number) for number, name in enumerate(run.variants)},
        calibration=calibrate(run),
        decisions_per_s=run.decisions_per_s,
    )


def _best_share(run: RunRecord, first: int) -> float:
    """Return the share of the best variant among the answers to the requests from index `first` on."""
    executions = run.executions[run.executions["request"] >= first]
    return _mean(executions["variant"] == run.best[executions["request"]])


def _recovered(run: RunRecord) -> int:
    """Return the index of the first request that came 200 requests and 10 s after the last event."""
    by_count = int(np.searchsorted(run.arrival_s, run.calm_s)) + RECOVERY_REQUESTS
    return max(by_count, int(np.searchsorted(run.arrival_s, run.calm_s + RECOVERY_S)))


def _energy_j(run: RunRecord) -> float:
    return _mean_of_all(_energies_j(run))


def _energy_in_time_j(run: RunRecord) -> float:
    in_time = int((run.latency_ms <= run.deadline_ms).sum())
    return float(_energies_j(run).sum()) / in_time if in_time else float("nan")


def _energies_j(run: RunRecord) -> Array:
    power_w = np.array(run.power_w)[run.executions["variant"]]
    energies_j: Array = power_w * run.executions["service_ms"] / 1e3
    return energies_j


def _mean_of_all(values: Array) -> float:
    """Return the mean; NaN if there are no values or one of them is NaN."""
    return float(values.mean()) if len(values) else float("nan")


def _mean_and_p99_ms(run: RunRecord) -> tuple[float, float]:
    answered_ms = _answered_ms(run)
    if not len(answered_ms):
        return float("nan"), float("nan")
    return float(answered_ms.mean()), float(np.percentile(answered_ms, 99))


def _answered_ms(run: RunRecord) -> Array:
    answered_ms: Array = run.latency_ms[~np.isnan(run.latency_ms)]
    return answered_ms


def _mean(values: Array) -> float:
    """Return the mean of the values that are not NaN; NaN if there are none."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else float("nan")


def _in_time(run: RunRecord) -> float:
    return float((run.latency_ms <= run.deadline_ms).mean())  # False for NaN
