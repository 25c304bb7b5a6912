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
    might measure: they can take requests, and have few answers, are slower than usual or are kept out.
    `on_defect` receives what a policy raises while it learns.
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
            outcome = self._blame(decision, fault, now_s)
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

    def overdue(
        self, decision: RoutingDecision, place: Place, waited_ms: float, now_s: float, *, opens: bool
    ) -> None:
        """Free the place of an attempt without an answer after `waited_ms`, and count the failure.

        It `opens` the breaker if the wait was long; a short one that recurs opens it, too.
        """
        state = decision.state
        self.free(state, place, now_s)
        if self.profiling:
            state.learn_overdue(decision.size, waited_ms, now_s)
        outcome = self._blame(decision, Fault.OVERDUE if opens else Fault.ERROR, now_s)
        self._observe(Execution(decision, outcome, now_s, fault=Fault.OVERDUE))

    def answered_late(
        self, decision: RoutingDecision, latency_ms: float, now_s: float, *, serves: bool
    ) -> Execution:
        """Note the answer of an attempt whose failure was counted: the variant may be well again.

        The law learns it from the router's own requests alone, and only from one that was sent after the last
        late answer: those that were stuck together, behind one call, say nothing about the next one.
        """
        state = decision.state
        state.breaker.retry_now(now_s)
        if decision.context.warmup and self.profiling and decision.now_s >= state.late_s:
            state.profile.latency.update(decision.size, latency_ms, now_s)
        state.late_s = state.well_s = now_s
        plausible_ms = latency_ms if is_plausible_ms(latency_ms) else None
        execution = Execution(decision, SUCCESS, now_s, plausible_ms)
        if serves:
            state.answers += 1
            self._observe(execution)
        return execution

    def failed_late(self, decision: RoutingDecision, fault: Fault, now_s: float) -> None:
        """Note what the error of an attempt says whose failure was counted: that the variant is not there."""
        state = decision.state
        if fault not in (Fault.DEAD, Fault.NOT_READY) or decision.now_s < state.loaded_s:
            return
        if fault is Fault.DEAD:
            state.breaker.failed(fault, now_s)
        else:
            state.not_ready_reason = NOT_LOADED
        self.settle(state)
        self._observe(Execution(decision, Outcome.IGNORED, now_s, fault=fault))

    def loaded_again(self, state: VariantState, now_s: float) -> None:
        """Forget what was in flight at a variant before it was loaded again."""
        for place in state.loaded_again(now_s):
            self._capacity.free(place)

    def _blame(self, decision: RoutingDecision, fault: Fault, now_s: float) -> Outcome:
        """Note a failure by the variant's fault; of one that was loaded again since then, it says nothing."""
        state = decision.state
        if decision.now_s < state.loaded_s:
            return Outcome.IGNORED
        state.failed(fault, now_s)
        self.settle(state)
        return Outcome.FAILURE

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
