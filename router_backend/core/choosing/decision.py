"""The decision about one request, and how its attempt ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol

from router_backend.core.choosing.ranking import CandidateReport, Ranking, ScoredCandidate
from router_backend.core.records.basis import Basis
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.load import Place
from router_backend.core.variants.state import VariantState

UNMEASURED_FACTOR = 5.0
Choice = tuple[Candidate, float, bool]
"""The picked candidate, the probability of picking it, and whether it is a probe."""


class Chooser(Protocol):
    """What picked the variant: a policy."""

    label: str
    learns: ClassVar[bool]

    def observe(self, execution: Execution, /) -> None:
        """Learn from how the attempt ended."""


class ExperimentArm(Protocol):
    """The side of an experiment that a request counts for."""

    name: str

    @property
    def experiment_id(self) -> str:
        """The name of the experiment."""

    def observe(self, execution: Execution, /) -> None:
        """Count how the attempt ended."""


class RoutingDecision:
    """The variant for one request. Holds the request's place in flight until it is recorded or dropped.

    Args:
        model_name: the logical model.
        context: the request.
        size: its size x, in reference requests.
        now_s: when it was decided.
        deadline_ms: what was left of the request's deadline then; `None` if it has none.
        choice: what was picked; its candidate's requests in flight include this one if it has a place.
        state: the picked variant.
        place: the place in flight there; `None` for a dry run, whose end is not recorded.
        candidates: the variants that could have been picked.
        rejected: the others, each with the reason.
        chooser: the policy that picked.
        arm: the side of an experiment that the request counts for; `None` if it counts for none.
        abandon: called with state and place if the decision is dropped unrecorded, from any thread.

    Attributes:
        variant: the chosen variant's name.
        expected_latency_ms: predicted wait and service of the chosen variant.
        expected_service_ms: predicted service time of the chosen variant, without the wait.
        basis: what the prediction is based on.
        half_width: θ of the prediction interval: predicted · e^(±θ).
        in_flight: requests that the chosen variant had in flight, without this one.
        propensity: the probability with which the variant was chosen.
        probe: whether it was chosen to learn rather than because it was best.
    """

    __slots__ = (
        "_abandon",
        "_place",
        "_rejected",
        "arm",
        "basis",
        "chooser",
        "context",
        "deadline_ms",
        "expected_latency_ms",
        "expected_service_ms",
        "half_width",
        "in_flight",
        "model_name",
        "now_s",
        "probe",
        "propensity",
        "scored",
        "size",
        "state",
        "variant",
    )

    def __init__(
        self,
        model_name: str,
        context: RoutingContext,
        size: float,
        now_s: float,
        deadline_ms: float | None,
        choice: Choice,
        state: VariantState,
        place: Place | None,
        candidates: list[Candidate],
        rejected: list[tuple[VariantState, str]],
        chooser: Chooser,
        arm: ExperimentArm | None,
        abandon: Callable[[tuple[VariantState, Place]], None],
    ) -> None:
        candidate, self.propensity, self.probe = choice
        self.model_name = model_name
        self.context = context
        self.size = size
        self.now_s = now_s
        self.deadline_ms = deadline_ms
        self.state = state
        self.variant = state.variant.name
        self.expected_service_ms = candidate.service_ms
        self.expected_latency_ms = candidate.wait_ms + candidate.service_ms
        self.in_flight = candidate.in_flight if place is None else candidate.in_flight - 1  # without its own
        self.basis = candidate.basis
        self.chooser = chooser
        self.arm = arm
        self.half_width = state.profile.interval.half_width
        # The candidates' figures are overwritten by the next decision.
        self.scored: list[ScoredCandidate] = [
            (c.variant, c.cost, c.wait_ms, c.service_ms, c.variance, c.basis) for c in candidates
        ]
        self._rejected = rejected
        self._place = place
        self._abandon = abandon

    def __del__(self) -> None:  # pragma: no mutate block
        if self._place is not None:
            self._abandon((self.state, self._place))

    @property
    def device(self) -> Device:
        """The hardware that the chosen variant runs on."""
        return self.state.variant.device

    @property
    def policy(self) -> str:
        """The policy that chose, with its argument if it has one."""
        return self.chooser.label

    @property
    def expected_memory_mb(self) -> float | None:
        """Memory that the request is expected to take at the chosen variant; `None` if unknown."""
        return self.state.profile.memory.predict(self.size) or None

    @property
    def expected_power_w(self) -> float:
        """The request's expected share of the power that the chosen variant's device draws."""
        return self.state.profile.power.predict(self.size)

    @property
    def expected_interval_ms(self) -> tuple[float, float]:
        """The prediction interval of the latency, at the configured coverage.

        Before the variant was measured: a factor of 5 both ways, about as far as an analysis may be wrong.
        """
        factor = math.exp(self.half_width) if self.basis is Basis.MEASURED else UNMEASURED_FACTOR
        return self.expected_latency_ms / factor, self.expected_latency_ms * factor

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The other variants that could serve the request, the next best first."""
        return self._ranking.fallbacks

    @property
    def confidence(self) -> float:
        """Probability that the chosen variant is better than the best other."""
        return self._ranking.confidence

    @property
    def candidates(self) -> tuple[CandidateReport, ...]:
        """Every variant of the model: its score and prediction, or the reason it was rejected."""
        rejected = ((state.variant, reason) for state, reason in self._rejected)
        return (*self._ranking.reports(), *(CandidateReport.of_rejected(*each) for each in rejected))

    @property
    def reason(self) -> str:
        """Why this variant was chosen, in a sentence."""
        guessed = self.basis is Basis.GUESS
        expected = "not measured yet" if guessed else f"expected in {self.expected_latency_ms:.4g} ms"
        total = len(self.scored) + len(self._rejected)
        among = f"{len(self.scored)} of {total} variants could serve it"
        if self.probe:
            return f"tried to learn more about '{self.variant}' by '{self.policy}', {expected}; {among}"
        return f"best by '{self.policy}', {expected}; {among}"

    def take_place(self) -> Place | None:
        """Give up the place in flight and return it; `None` if it was taken before."""
        place, self._place = self._place, None
        return place

    @property
    def _ranking(self) -> Ranking:
        return Ranking(self.variant, self.scored)


class Execution(NamedTuple):
    """How one attempt ended. Counters, experiment arm, policy and trace observe it.

    Args:
        decision: request, variant, prediction, propensity.
        outcome: how it ended.
        finished_s: when its end was reported.
        latency_ms: from sending to answer; `None` if it was not answered or the measurement is implausible.
        service_ms: the part of the latency that is service; `None` as for `latency_ms`.
        fault: how the variant failed; `None` if it did not.
    """

    decision: RoutingDecision
    outcome: Outcome
    finished_s: float
    latency_ms: float | None = None
    service_ms: float | None = None
    fault: Fault | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it failed by the variant's fault."""
        return self.outcome is Outcome.FAILURE

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.decision.state.variant.name

    @property
    def context(self) -> RoutingContext:
        """The request."""
        return self.decision.context

    @property
    def size(self) -> float:
        """The request's size x."""
        return self.decision.size
