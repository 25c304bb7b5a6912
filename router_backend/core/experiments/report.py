"""What an experiment has found so far."""

from collections.abc import Mapping
from dataclasses import dataclass

from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.experiments.running_experiment import RunningExperiment


@dataclass(frozen=True, slots=True)
class ArmReport:
    """One arm on one model.

    Args:
        policy: the policy that decides.
        answers: requests that were answered.
        failures: requests whose variant failed.
        error_rate: failures' share of both; None before the first.
        mean_latency_ms: of the answers; None before the first.
        p99_latency_ms: what 99 % of the answers were not above, to 2 %; None before the first.
        variant_shares: the share of each variant in both.
    """

    policy: str
    answers: int
    failures: int
    error_rate: float | None
    mean_latency_ms: float | None
    p99_latency_ms: float | None
    variant_shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class ModelReport:
    """An experiment on one model.

    Args:
        fraction: the share of the units that gets the treatment now.
        stopped_reason: why the guardrails have stopped the treatment; None: they have not.
        control: what it is compared with.
        treatment: what is tried.
        difference_ms: the treatment's mean latency less the control's, each answer weighted by how likely its
            arm was, so that it is not quite that of the two means above; None: an arm has fewer than 50
            answers, or the arm is assigned by model.
        interval_ms: where the difference is with 95 % certainty, from and to, however often one looks.
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
        models: what was found, by the model's name.
    """

    experiment: Experiment
    models: Mapping[str, ModelReport]


def report_on(running: RunningExperiment, now_s: float) -> ModelReport:
    """What was found on one model."""
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
    return ArmReport(
        arm.picker.policy.name,
        arm.answers,
        arm.failures,
        arm.failures / ended if ended else None,
        arm.latency_ms / arm.answers if arm.answers else None,
        arm.latencies.quantile(0.99),
        {variant: count / ended for variant, count in arm.variants.items()},
    )
