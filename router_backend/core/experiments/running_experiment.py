"""One experiment on one model: assigns arms, counts how their requests end, stops a bad treatment."""

import random
from collections.abc import Collection
from functools import partial

from router_backend.core.choosing.decision import Execution
from router_backend.core.experiments.arm import CONTROL, TREATMENT, Arm
from router_backend.core.experiments.assignment import UnitHash
from router_backend.core.experiments.confidence_sequence import DifferenceOfMeans
from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.guard import Guard
from router_backend.core.experiments.rollout import fraction_after
from router_backend.core.policies.arm_picker import ArmPicker
from router_backend.core.policies.picker import Picker


class RunningExperiment:
    """One experiment on one model. Not thread-safe: the model's lock guards it.

    A unit gets the treatment if its point is below the fraction, and so keeps it when the fraction grows. A
    request without a unit is a unit of its own: its point is drawn.

    Failures by the variant's fault and answers with a latency are counted; other ends are not, nor are
    retries. The latencies of a variant's first answers, to any requests, are not compared: they
    say what a start costs, and which arm pays for it is chance. `stopped_reason` is why the guardrails have
    stopped the treatment; `None` if they have not.

    Raises:
        ConfigurationError: a policy is for a variant that is not among them.
    """

    COVERAGE = 0.95

    __slots__ = (
        "_by_model",
        "_guard",
        "_hash",
        "_started_s",
        "control",
        "difference",
        "experiment",
        "stopped_reason",
        "treatment",
    )

    def __init__(
        self, experiment: Experiment, model_name: str, variants: Collection[str], now_s: float
    ) -> None:
        self.experiment = experiment
        control = ArmPicker(experiment.new_control(), partial(self._share, False))
        treatment = ArmPicker(experiment.new_treatment(), partial(self._share, True))
        control.other, treatment.other = treatment, control
        self.control = self._new_arm(CONTROL, control, variants)
        self.treatment = self._new_arm(TREATMENT, treatment, variants)
        self.difference = DifferenceOfMeans(self.COVERAGE)
        self.stopped_reason: str | None = None
        self._started_s = now_s
        self._hash = UnitHash(experiment.experiment_id)
        by_model = experiment.assign_by is AssignBy.MODEL
        self._by_model = self._hash.point(model_name) if by_model else None
        self._guard = self._new_guard()

    def change(self, experiment: Experiment, now_s: float) -> None:
        """Continue with another rollout or other guardrails; counts and a stop stay."""
        if (experiment.fraction, experiment.rollout) != (self.experiment.fraction, self.experiment.rollout):
            self._started_s = now_s
        watched = self.experiment.guardrails
        self.experiment = experiment
        if experiment.guardrails != watched:
            self._guard = self._new_guard()

    def fraction(self, now_s: float) -> float:
        """Return the share of units that get the treatment; 0 once it is stopped."""
        if self.stopped_reason is not None:
            return 0.0
        experiment = self.experiment
        if not experiment.rollout:
            return experiment.fraction
        return fraction_after(experiment.fraction, experiment.rollout, now_s - self._started_s)

    def arm_of(self, unit: str, now_s: float, rng: random.Random) -> Arm:
        """Return the arm of a request."""
        point = self._by_model
        if point is None:
            point = self._hash.point(unit) if unit else rng.random()
        return self.treatment if point < self.fraction(now_s) else self.control

    def _share(self, treated: bool, now_s: float) -> float:
        """Return the probability of an arm; 1 if arms are not drawn."""
        if self._by_model is not None:
            return 1.0
        fraction = self.fraction(now_s)
        return fraction if treated else 1.0 - fraction

    def _ended(self, arm: Arm, execution: Execution) -> None:
        """Count how an attempt ended, unless the treatment was stopped."""
        if self.stopped_reason is not None:
            return
        fraction = self.fraction(execution.decision.now_s)
        if execution.has_failed:
            self._failed(arm, execution, fraction)
        elif execution.latency_ms is not None:
            self._answered(arm, execution, execution.latency_ms, fraction)

    def _answered(self, arm: Arm, execution: Execution, latency_ms: float, fraction: float) -> None:
        treated, unit = arm is self.treatment, execution.context.unit
        warm = execution.decision.state.is_warm
        if warm and self._guard is not None:
            self.stopped_reason = self._guard.answered(treated, latency_ms, fraction, unit)
        arm.answered(execution.variant, latency_ms, warm=warm)
        if warm and self._by_model is None:
            self.difference.update(treated, latency_ms, fraction, unit)

    def _failed(self, arm: Arm, execution: Execution, fraction: float) -> None:
        arm.failed(execution.variant)
        if self._guard is not None:
            treated, unit = arm is self.treatment, execution.context.unit
            self.stopped_reason = self._guard.failed(treated, fraction, unit)

    def _new_arm(self, name: str, picker: Picker, variants: Collection[str]) -> Arm:
        picker.policy.check(variants)
        return Arm(self.experiment.experiment_id, name, picker, self._ended)

    def _new_guard(self) -> Guard | None:
        guardrails = self.experiment.guardrails
        return None if guardrails is None else Guard(guardrails, self.control.latencies)
