"""What the router counts while it serves: plain numbers, changed in place, since every request is counted."""

from bisect import bisect_left
from copy import deepcopy
from dataclasses import dataclass, field

from router_backend.core.choosing.decision import Execution
from router_backend.core.records.outcome import Fault, Outcome, Refusal

LATENCY_BOUNDS_MS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)
"""Upper bounds of the latency histogram's buckets; one more bucket is for answers above the last."""

OutcomeCounts = dict[Outcome, int]
"""How many attempts ended in each way."""


def no_outcomes() -> OutcomeCounts:
    """Return counts of zero."""
    return dict.fromkeys(Outcome, 0)


@dataclass(slots=True)
class VariantCounts:
    """What is counted for one variant, since it was registered.

    Args:
        ends: attempts by the policy that chose, and by how they ended.
        answers_within: answers by the first of LATENCY_BOUNDS_MS that their latency did not exceed.
        latency_ms: sum of the latencies of these answers.
        prediction_error_ms: sum of the absolute errors of their predicted latency.
        deadline_misses: answers after their deadline.
        faults: failed calls by kind.
        hedges: second copies that were sent here, since another variant was slow.
        hedges_won: those that were answered first.
        retries: requests that were sent to another variant after this one failed.
        reloads: times that it was loaded again because its process had died.
        failed_reloads: times that this failed.
    """

    ends: dict[str, OutcomeCounts] = field(default_factory=dict)
    answers_within: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_MS) + 1))
    latency_ms: float = 0.0
    prediction_error_ms: float = 0.0
    deadline_misses: int = 0
    faults: dict[Fault, int] = field(default_factory=lambda: dict.fromkeys(Fault, 0))
    hedges: int = 0
    hedges_won: int = 0
    retries: int = 0
    reloads: int = 0
    failed_reloads: int = 0

    def observe(self, execution: Execution) -> None:
        """Count how an attempt ended."""
        decision, outcome, _, latency_ms, _, fault = execution
        policy = decision.chooser.label
        ends = self.ends.get(policy)
        if ends is None:
            ends = self.ends[policy] = no_outcomes()
        ends[outcome] += 1
        if fault is not None:
            self.faults[fault] += 1
        if latency_ms is None:
            return
        self.answers_within[bisect_left(LATENCY_BOUNDS_MS, latency_ms)] += 1
        self.latency_ms += latency_ms
        self.prediction_error_ms += abs(latency_ms - decision.expected_latency_ms)
        deadline_ms = decision.deadline_ms
        if deadline_ms is not None and latency_ms > deadline_ms:
            self.deadline_misses += 1

    def copy(self) -> "VariantCounts":
        """Return the counts as they are now."""
        return deepcopy(self)


@dataclass(slots=True)
class ModelCounts:
    """What is counted for one logical model, apart from its variants.

    Args:
        decisions: decisions that were made or refused.
        decision_s: their total duration, including the wait for the lock.
        refusals: requests without an answer, by reason.
        configs_accepted: changes of the settings that were applied.
        configs_refused: changes of the settings that were refused.
        configured_s: when the current settings were applied.
        arms: first attempts of requests in experiments, by experiment and arm, and by how they ended.
    """

    decisions: int = 0
    decision_s: float = 0.0
    refusals: dict[Refusal, int] = field(default_factory=lambda: dict.fromkeys(Refusal, 0))
    configs_accepted: int = 0
    configs_refused: int = 0
    configured_s: float = 0.0
    arms: dict[tuple[str, str], OutcomeCounts] = field(default_factory=dict)

    def observe(self, execution: Execution) -> None:
        """Count how the first attempt of a request in an experiment ended."""
        arm = execution.decision.arm
        if arm is not None:
            self.arms.setdefault((arm.experiment_id, arm.name), no_outcomes())[execution.outcome] += 1

    def copy(self) -> "ModelCounts":
        """Return the counts as they are now."""
        return deepcopy(self)
