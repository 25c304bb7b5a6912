"""The mean latency that another policy would have had on a trace, with an interval."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from router_backend.errors import DEFECTS, RouterError
from router_tools.errors import ToolError
from router_tools.off_policy.doubly_robust import effective, weights
from router_tools.off_policy.recording import Recording
from router_tools.off_policy.saturation import saturated
from router_tools.simulator.array import Array
from router_tools.simulator.policy_choice import check_policies
from router_tools.simulator.randomness import stream
from router_tools.simulator.record import RunRecord
from router_tools.simulator.run import run

CONFIDENCE = 0.95
REPLICATIONS = 7


@dataclass(frozen=True)
class Estimate:
    """What a policy would have cost on a trace.

    Args:
        policy: the policy.
        model_ms: its mean latency in the world fitted to the trace.
        mean_ms: the doubly robust estimate of its mean latency.
        low_ms: the lower end of its 95 % interval.
        high_ms: the upper end.
        shares: the share of its requests by variant.
        effective: the effective number of recorded executions that agree with its choices, by variant.
        refused: the share of the requests that it refuses.
        failed: the share that variants fail, without an answer by another one.
        saturated: the share of the time in which a variant has no capacity left, by variant.
    """

    policy: str
    model_ms: float
    mean_ms: float
    low_ms: float
    high_ms: float
    shares: dict[str, float]
    effective: dict[str, float]
    refused: float
    failed: float
    saturated: dict[str, float]


@dataclass(frozen=True)
class NoEstimate:
    """A policy whose estimate ended with an error.

    Args:
        policy: the policy.
        error: what went wrong.
    """

    policy: str
    error: str


def try_estimate(recording: Recording, policy: str, seed: int = 0) -> Estimate | NoEstimate:
    """Return the estimate of a policy, or the error with which it ended: the others need not end with it."""
    try:
        return estimate(recording, policy, seed)
    except (ToolError, RouterError) as error:
        return NoEstimate(policy, str(error))
    except DEFECTS as error:  # of someone else's policy
        return NoEstimate(policy, f"{type(error).__name__}: {error}")


def estimate(recording: Recording, policy: str, seed: int = 0) -> Estimate:
    """Estimate the mean latency that a policy would have had on the recorded arrivals.

    The policy is simulated in the world fitted to the trace, which gives the model-based estimate and the
    choices that it makes. Then the trace is resampled B = 7 times; each time, a world is fitted, corrected
    for the policy (`doubly_robust`) and the policy is simulated in it once, with other service times. The
    results v_b differ by what the trace leaves open about the service times, and by what differs between two
    runs of the policy. So with the mean m and the standard deviation s of ln v_b, the logarithm of the mean
    latency that the policy has, if it is run on these arrivals, lies with 95 % confidence in

        m ± t_{B-1} · s · √(1 + 1/B),

    the prediction interval for one more result; the estimate is e^m. Logarithms, since latencies grow faster
    than service times. It takes arrivals and sizes as given.

    Args:
        recording: the trace.
        policy: its name in the registry.
        seed: of resampling and simulation.
    """
    workload = recording.workload()
    fitted = recording.world()
    check_policies([policy], fitted)
    first_seed = seed * (1 + REPLICATIONS)
    modeled = run(fitted, workload, policy, first_seed)
    target = _choices(recording, modeled)
    logs = []
    for number in range(1, 1 + REPLICATIONS):
        sample = recording.resampled(stream(seed, "resampling", str(number - 1)))
        world = recording.corrected_world(sample, target)
        logs.append(math.log(_mean_ms(run(world, workload, policy, first_seed + number))))
    center, deviation = float(np.mean(logs)), float(np.std(logs, ddof=1))
    quantile = float(student_t.ppf(0.5 + 0.5 * CONFIDENCE, REPLICATIONS - 1))
    margin = quantile * deviation * math.sqrt(1.0 + 1.0 / REPLICATIONS)
    return Estimate(
        policy,
        _mean_ms(modeled),
        math.exp(center),
        math.exp(center - margin),
        math.exp(center + margin),
        {name: float(each.mean()) for name, each in target.items()},
        _effective(recording, target),
        float(modeled.refused.mean()),
        float((np.isnan(modeled.latency_ms) & ~modeled.refused).mean()),
        _saturated(recording, modeled),
    )


def _mean_ms(record: RunRecord) -> float:
    """Return the mean latency of the answered requests.

    Raises:
        ToolError: none was answered.
    """
    if np.isnan(record.latency_ms).all():
        raise ToolError("expected requests that it answers, found none: all are refused or fail")
    return float(np.nanmean(record.latency_ms))


def _saturated(recording: Recording, record: RunRecord) -> dict[str, float]:
    found = {}
    for number, name in enumerate(record.variants):
        rows = record.executions[record.executions["variant"] == number]
        begin_s = rows["finished_s"] - rows["service_ms"] / 1e3
        concurrency = recording.variants[name].concurrency
        found[name] = saturated(begin_s, rows["service_ms"], concurrency, recording.length_s)
    return found


def _choices(recording: Recording, record: RunRecord) -> dict[str, Array]:
    """Return, by variant, the probability that the policy sends each request there.

    It is the share among the requests of about the same size in the same part of the trace: the choice for a
    single one depends on queues that the next run does not repeat.
    """
    cell = recording.cell
    count = np.bincount(cell)
    shares = {}
    for number, name in enumerate(record.variants):
        served = record.executions["request"][record.executions["variant"] == number]
        shares[name] = (np.bincount(cell[served], minlength=len(count)) / count)[cell]
    return shares


def _effective(recording: Recording, target: dict[str, Array]) -> dict[str, float]:
    return {
        name: effective(weights(target[name][each.request], recording.propensity[each.request]))
        for name, each in recording.found.executed.items()
    }
