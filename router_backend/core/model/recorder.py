"""Records how attempts at the variants of one model ended: frees their places, learns, counts."""

from collections.abc import Callable, Iterable
from functools import partial

from router_backend.core.choosing.decision import Execution, RoutingDecision
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.telemetry.counters import ModelCounts, VariantCounts
from router_backend.core.variants.capacity import Capacity
from router_backend.core.variants.load import Place
from router_backend.core.variants.state import MEASURED, VariantState, is_plausible_ms
from router_backend.errors import DEFECTS

SUCCESS = Outcome.SUCCESS  # looking up a member of an enumeration is slow
new_execution = partial(tuple.__new__, Execution)
"""Makes an `Execution` of all its fields in half the time; every answer needs one."""
NOT_LOADED = "not ready: Triton has not loaded it"


class Recorder:
    """Records how the attempts of one model ended. Not thread-safe: the model's lock guards it.

    Answers are learned from if `profiling` is set. `unsettled` are the variants that a copy of a request
    might measure: they can take requests, and have few answers or are slower than usual. `on_defect` receives
    what a policy raises while it learns.
    """

    __slots__ = ("_capacity", "_on_defect", "counts", "profiling", "unsettled", "variant_counts")

    def __init__(
        self, states: Iterable[VariantState], capacity: Capacity, on_defect: Callable[[BaseException], object]
    ) -> None:
        self.profiling = True
        self.counts = ModelCounts()
        self.variant_counts = {state: VariantCounts() for state in states}
        self.unsettled: set[VariantState] = set()
        for state in self.variant_counts:
            self.settle(state)
        self._capacity = capacity
        self._on_defect = on_defect

    def answered(
        self,
        decision: RoutingDecision,
        place: Place,
        latency_ms: float,
        memory_mb: float | None,
        power_w: float | None,
        now_s: float,
    ) -> Execution:
        """Free the place of an attempt that was answered after `latency_ms`, and learn from it.

        `power_w` is what the device drew: each request that the variant was serving has an equal share.
        """
        state = decision.state
        if power_w is not None:
            power_w /= len(state.load.running)  # which contains the request, or as many that it overtook
        if self._capacity.held:
            self._capacity.free(place)
        service_ms = state.answered(place, latency_ms, now_s)
        if self.profiling:
            size, profile = decision.size, state.profile
            expected_ms = decision.expected_latency_ms if decision.basis is MEASURED else 0.0
            if service_ms is not None and not profile.learn(size, service_ms, expected_ms, latency_ms, now_s):
                service_ms = None
            latency = profile.latency
            if self.unsettled or latency.usual is not None:
                self.settle(state)
            if latency.excess is not None or state.candidate.excess:
                state.learned_excess()
            if memory_mb is not None or power_w is not None:
                profile.learn_resources(size, memory_mb, power_w)
        plausible_ms = latency_ms if service_ms is not None or is_plausible_ms(latency_ms) else None
        execution = new_execution((decision, SUCCESS, now_s, plausible_ms, service_ms, None))
        self._observe(execution)
        return execution

    def settle(self, state: VariantState) -> None:
        """Note whether a copy might measure a variant, after what it depends on has changed."""
        if state.may_be_measured:
            self.unsettled.add(state)
        else:
            self.unsettled.discard(state)

    def ended(
        self, decision: RoutingDecision, fault: Fault | None, now_s: float, *, blamed: bool = True
    ) -> Execution:
        """Count the end of an attempt that was not answered and whose place is free.

        `fault` is how the variant failed; `None` if the end says nothing about it. It is only `blamed` if
        the request was not the cause.
        """
        outcome = Outcome.IGNORED
        if fault is Fault.NOT_READY:
            decision.state.not_ready_reason = NOT_LOADED
            self.settle(decision.state)
        elif fault is not None and blamed:
            outcome = Outcome.FAILURE
            decision.state.failed(fault, now_s)
        execution = Execution(decision, outcome, now_s, fault=fault)
        self._observe(execution)
        return execution

    def answered_by_hedge(self, first: RoutingDecision, execution: Execution, after_ms: float) -> None:
        """Count the answer to a second copy for the experiment's arm that made the first choice."""
        if first.arm is not None and execution.latency_ms is not None:
            arm, latency_ms = first.arm, execution.latency_ms + after_ms
            answered = Execution(first, SUCCESS, execution.finished_s, latency_ms)
            self.counts.observe(answered)
            arm.observe(answered)
        first.arm = None  # the end of its own attempt is not counted once more

    def free(self, state: VariantState, place: Place, now_s: float) -> None:
        """Free the place of an attempt that was not answered."""
        self._capacity.free(place)
        state.released(place, now_s)

    def _observe(self, execution: Execution) -> None:
        """Report how an attempt ended to the counters, the experiment's arm and the policy."""
        decision = execution.decision
        if not (decision.context.warmup or decision.context.dry_run):
            self.variant_counts[decision.state].observe(execution)
            if decision.arm is not None:
                self.counts.observe(execution)
                decision.arm.observe(execution)
        chooser = decision.chooser
        if chooser.learns and self.profiling:
            try:
                chooser.observe(execution)
            except DEFECTS as defect:
                self._on_defect(defect)
