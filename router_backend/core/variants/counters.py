"""What the router counts while it serves: sums in the process, to be read as `RoutingMetrics`."""

from bisect import bisect_left
from enum import Enum
from typing import TYPE_CHECKING

from router_backend.core.learning.predictor import MAX_PLAUSIBLE, MIN_PLAUSIBLE
from router_backend.core.variants.health import Fault

if TYPE_CHECKING:  # a decision leads to the profiles, which hold these sums
    from router_backend.core.choosing.decision import RoutingDecision

LATENCY_BOUNDS_MS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)
"""The latencies that answers are sorted by; what is above the last stands in a place of its own."""


class Outcome(Enum):
    """The three ends of a request at a variant."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"


class Refusal(Enum):
    """Why a request got no answer."""

    INVALID_REQUEST = "invalid_request"
    NO_VARIANT = "no_variant"
    DEADLINE = "deadline"
    OVERLOADED = "overloaded"


class Ends:
    """How requests ended: a count for each of the three ends."""

    __slots__ = ("failure", "ignored", "success")

    def __init__(self) -> None:
        self.success = self.failure = self.ignored = 0

    def add(self, latency_ms: float | None, error: Fault | None) -> None:
        """Count one, as `ModelRouter.record_execution` is told."""
        if error is not None:
            self.failure += 1
        elif latency_ms is None:
            self.ignored += 1
        else:
            self.success += 1

    def by_outcome(self) -> dict[Outcome, int]:
        """The counts as they stand."""
        return {
            Outcome.SUCCESS: self.success,
            Outcome.FAILURE: self.failure,
            Outcome.IGNORED: self.ignored,
        }


class VariantSums:
    """What is summed of one variant. Every request passes here: plain numbers, changed in place.

    Attributes:
        ends: by the name of the policy that chose.
        within: answers by the first of LATENCY_BOUNDS_MS that their latency was not above.
        latency_ms: of all answers, in all.
        prediction_error_ms: distances between predicted and observed latency, in all.
        deadline_misses: answers above their deadline.
        faults: failures of the variant's own.
        retries: requests that went on to another variant.
    """

    __slots__ = (
        "deadline_misses",
        "ends",
        "faults",
        "latency_ms",
        "prediction_error_ms",
        "retries",
        "within",
    )

    def __init__(self) -> None:
        self.ends: dict[str, Ends] = {}
        self.within = [0] * (len(LATENCY_BOUNDS_MS) + 1)
        self.latency_ms = 0.0
        self.prediction_error_ms = 0.0
        self.deadline_misses = 0
        self.faults = dict.fromkeys(Fault, 0)
        self.retries = 0

    def ended(self, decision: "RoutingDecision", latency_ms: float | None, error: Fault | None) -> None:
        """A request ended, as `ModelRouter.record_execution` is told."""
        policy = decision.chooser.name
        ends = self.ends.get(policy)
        if ends is None:
            ends = self.ends[policy] = Ends()
        ends.add(latency_ms, error)
        if error is not None or latency_ms is None or not MIN_PLAUSIBLE <= latency_ms <= MAX_PLAUSIBLE:
            return
        self.within[bisect_left(LATENCY_BOUNDS_MS, latency_ms)] += 1
        self.latency_ms += latency_ms
        self.prediction_error_ms += abs(latency_ms - decision.expected_latency_ms)
        deadline_ms = decision.deadline_ms
        if deadline_ms is not None and latency_ms > deadline_ms:
            self.deadline_misses += 1


class ModelSums:
    """What is summed of one logical model, apart from its variants.

    Attributes:
        decisions: how many were made or refused.
        decision_s: how long these took.
        refusals: requests without an answer.
        configs_accepted: changes of the settings that were taken up.
        configs_refused: changes that were not.
        configured_s: when the settings in force were taken up.
        arms: how requests of experiments ended, by the experiment's name and the arm.
    """

    __slots__ = (
        "arms",
        "configs_accepted",
        "configs_refused",
        "configured_s",
        "decision_s",
        "decisions",
        "refusals",
    )

    def __init__(self) -> None:
        self.decisions = 0
        self.decision_s = 0.0
        self.refusals = dict.fromkeys(Refusal, 0)
        self.configs_accepted = 0
        self.configs_refused = 0
        self.configured_s = 0.0
        self.arms: dict[tuple[str, str], Ends] = {}

    def arm_ended(self, experiment_id: str, arm: str, latency_ms: float | None, error: Fault | None) -> None:
        """A request of an experiment ended, as `ModelRouter.record_execution` is told."""
        ends = self.arms.get((experiment_id, arm))
        if ends is None:
            ends = self.arms[experiment_id, arm] = Ends()
        ends.add(latency_ms, error)
