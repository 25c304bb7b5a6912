"""The results of an experiment so far."""

from collections.abc import Mapping
from dataclasses import dataclass

from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.experiments.running_experiment import RunningExperiment


@dataclass(frozen=True, slots=True)
class ArmReport:
    """One arm on one model.

    Args:
        policy: the policy that decides, with its argument if it has one.
        answers: requests that were answered at the first attempt.
        failures: requests that their first variant failed: another one answered, or its process ended.
        error_rate: the share of failures in both, from 0 to 1; `None` before the first.
        cold_answers: those of the answers that are not in the latencies, since they were among the first 8
            of their variant.
        mean_latency_ms: mean latency of the other answers; `None` before the first.
        p99_latency_ms: 99th percentile of the same, accurate to 2 %; `None` before the first.
        variant_shares: by variant, its share of answers and failures, from 0 to 1.
    """

    policy: str
    answers: int
    failures: int
    error_rate: float | None
    cold_answers: int
    mean_latency_ms: float | None
    p99_latency_ms: float | None
    variant_shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class ModelReport:
    """An experiment on one model.

    Args:
        fraction: the current share of units that get the treatment; 0 once it is stopped.
        stopped_reason: why the guardrails have stopped the treatment; `None` if they have not.
        control: the arm that the treatment is compared with.
        treatment: the arm that is tried.
        difference_ms: the treatment's mean latency minus the control's, with answers weighted by the
            probability of their arm, so that it differs slightly from that of the two means; `None` if an
            arm has fewer than 50 answers with a latency, or is assigned by model.
        interval_ms: the 95 % confidence interval of the difference, valid no matter how often it is read and
            how many requests a unit sends; `None` also while an arm has too few units.
    """

    fraction: float
    stopped_reason: str | None
    control: ArmReport
    treatment: ArmReport
    difference_ms: float | None
    interval_ms: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """An experiment on each model that it is for.

    Args:
        experiment: what is compared.
        models: the results by model name.
    """

    experiment: Experiment
    models: Mapping[str, ModelReport]


def report_on(running: RunningExperiment, now_s: float) -> ModelReport:
    """Return the results on one model."""
    return ModelReport(
        running.fraction(now_s),
        running.stopped_reason,
        _of_arm(running.control),
        _of_arm(running.treatment),
        running.difference.get(),
        running.difference.interval(),
    )


def _of_arm(arm: Arm) -> ArmReport:
    ended = arm.answers + arm.failures
    warm = arm.latencies.count
    return ArmReport(
        arm.picker.policy.label,
        arm.answers,
        arm.failures,
        arm.failures / ended if ended else None,
        arm.answers - warm,
        arm.latency_ms / warm if warm else None,
        arm.latencies.quantile(0.99),
        {variant: count / ended for variant, count in arm.variants.items()},
    )
