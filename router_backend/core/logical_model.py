"""One logical model: its variants, the choice among them, and what their answers teach."""

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from router_backend.core.choosing.cold_start import ColdStart
from router_backend.core.choosing.decision import Execution, RoutingDecision
from router_backend.core.choosing.filters import (
    LATE,
    Filter,
    FilterPlan,
    Rejected,
    passing,
    room_filter,
    take_back_resting,
)
from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.model_experiments import ModelExperiments
from router_backend.core.learning.predictor import MAX_PLAUSIBLE, MIN_PLAUSIBLE
from router_backend.core.policies.base import Policy
from router_backend.core.policies.goals import POLICY_OF_GOAL
from router_backend.core.policies.picker import Picker
from router_backend.core.policies.registry import create_policy
from router_backend.core.records.outcome import Fault, Outcome, Refusal
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.telemetry.counters import ModelCounts, VariantCounts
from router_backend.core.telemetry.snapshot import ModelMetrics, VariantMetrics
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.capacity import Capacity, DeviceLimits
from router_backend.core.variants.load import Place
from router_backend.core.variants.state import VariantState
from router_backend.errors import (
    ConfigurationError,
    DeadlineError,
    InvalidRequestError,
    NoVariantError,
    RequestPolicyError,
    RouterError,
)

ANY_REQUEST = RoutingContext()
_SUCCESS = Outcome.SUCCESS  # a member of an enumeration is slow to look up
NOT_LOADED = "not ready: Triton has not loaded it"


class Environment(NamedTuple):
    """What the models of one router share.

    Args:
        lock: guards all of them; never held over a call.
        clock: returns seconds and never goes back; the only source of time.
        rng: the only source of chance.
        capacity: counts what is in flight on devices that have limits.
        filters: decide which variants may serve a request.
    """

    lock: threading.Lock
    clock: Callable[[], float]
    rng: random.Random
    capacity: Capacity
    filters: Sequence[Filter]


class LogicalModel:
    """Routes the requests of one logical model. Thread-safe, but for what says that it expects the lock.

    Args:
        name: what clients call it.
        variants: the models that can serve it, at least one, each once.
        policy: the policy that chooses, for this model alone.
        settings: how to decide.
        experiments: the experiments that its requests take part in.
        environment: what it shares with the router's other models.

    Attributes:
        states: its variants by name.

    Raises:
        ConfigurationError: the policy is for a variant that the model lacks.
    """

    def __init__(
        self,
        name: str,
        variants: Sequence[Variant],
        policy: Policy,
        settings: ModelSettings,
        experiments: ModelExperiments,
        environment: Environment,
    ) -> None:
        self.name = name
        self.states = {variant.name: VariantState(variant, settings.coverage) for variant in variants}
        self.counts = ModelCounts()
        self._variant_counts = {state: VariantCounts() for state in self.states.values()}
        self._lock, self._clock, self._rng, self._capacity, self._filters = environment
        self._experiments = experiments
        self._pickers_by_name: dict[str, Picker] = {}
        self._request = Request(ANY_REQUEST, None, 0.0)
        self._reference_elements = 0.0
        self._cold_start = ColdStart()
        self._abandoned: deque[tuple[VariantState, Place]] = deque()
        self.set_policy(policy)
        self._apply(settings)

    @property
    def policy(self) -> Policy:
        """The policy that chooses where a request and experiments say nothing."""
        return self._picker.policy

    @property
    def device_limits(self) -> Mapping[Device, DeviceLimits]:
        """What each device may hold, all models together."""
        return self._settings.device_limits

    def reasons_out(self, now_s: float) -> dict[str, str]:
        """Return why variants can take no request of any kind now, by name. Expects the lock."""
        rejected: Rejected = []
        passing(self._plan.before, self.states.values(), Request(ANY_REQUEST, None, now_s), rejected)
        return {state.variant.name: reason for state, reason in rejected}

    def now_s(self) -> float:
        """Return the time, in seconds of the router's clock."""
        return self._clock()

    def route(self, context: RoutingContext) -> RoutingDecision:
        """Choose a variant and reserve a place in flight there.

        Raises:
            InvalidRequestError: no variant could ever serve this request.
            NoVariantError: every variant is rejected at the moment; the text says why each one is.
            DeadlineError: none would answer in time, and such requests are refused.
        """
        asked_s = self._clock()
        with self._lock:
            counts = self.counts
            counts.decisions += 1
            try:
                return self._route(context, self._clock())
            except RouterError as error:
                counts.refusals[_refusal(error)] += 1
                raise
            finally:
                counts.decision_s += self._clock() - asked_s

    def record(
        self,
        decision: RoutingDecision,
        *,
        latency_ms: float | None = None,
        memory_mb: float | None = None,
        power_w: float | None = None,
        fault: Fault | None = None,
    ) -> Execution | None:
        """Free the decision's place, and learn and count how the attempt ended.

        Args:
            decision: what `route` returned.
            latency_ms: from sending to answer; `None` without a fault if the end says nothing (ignored).
            memory_mb: memory that the request was seen to take; `None` if it was not measured.
            power_w: power that was seen to be drawn for it; `None` if it was not measured.
            fault: how the variant failed; `None` if it did not.

        Returns:
            How it ended; `None` if that was recorded before.
        """
        with self._lock:
            place = decision.take_place()
            if place is None:
                return None
            now_s = self._clock()
            if fault is None and latency_ms is not None:
                return self._answered(decision, place, latency_ms, memory_mb, power_w, now_s)
            self._free(decision.state, place, now_s)
            return self._ended(decision, fault, now_s)

    def release(self, decision: RoutingDecision) -> None:
        """Free the place of an attempt whose end cannot be judged yet; `conclude` follows."""
        with self._lock:
            place = decision.take_place()
            if place is not None:
                self._free(decision.state, place, self._clock())

    def conclude(self, decision: RoutingDecision, fault: Fault | None) -> Execution:
        """Count how a released attempt ended: with a fault of the variant, or `None` if that says nothing."""
        with self._lock:
            return self._ended(decision, fault, self._clock())

    def retried(self, decision: RoutingDecision) -> None:
        """Count that a request went on to another variant after this decision's had failed it."""
        with self._lock:
            self._variant_counts[decision.state].retries += 1

    def refused(self, refusal: Refusal) -> None:
        """Count a request that was refused before it was routed."""
        with self._lock:
            self.counts.refusals[refusal] += 1

    def config_refused(self) -> None:
        """Count a change of the settings that was refused."""
        with self._lock:
            self.counts.configs_refused += 1

    def set_ready(self, variant: str, not_ready_reason: str | None) -> None:
        """Set whether a variant can take requests: `None`, or the reason why it cannot."""
        with self._lock:
            self.state(variant).not_ready_reason = not_ready_reason

    def state(self, variant: str) -> VariantState:
        """Return the state of a variant; to be read, not changed.

        Raises:
            InvalidRequestError: the model has no such variant.
        """
        if variant not in self.states:
            raise InvalidRequestError(
                f"model '{self.name}' has no variant '{variant}': expected one of {', '.join(self.states)}"
            )
        return self.states[variant]

    def metrics(self) -> ModelMetrics:
        """Return what was counted so far and the state of the variants; expects the lock."""
        now_s = self._clock()
        counts = self.counts.copy()
        running = self._experiments.running
        return ModelMetrics(
            self.name,
            {name: self._variant_metrics(state, now_s) for name, state in self.states.items()},
            counts,
            now_s - counts.configured_s,
            {experiment_id: 0.0 for experiment_id, _ in counts.arms}
            | {name: experiment.fraction(now_s) for name, experiment in running.items()},
        )

    def configure(self, policy: Policy, settings: ModelSettings) -> None:
        """Decide by other settings from now on; what was learned, and its coverage, stay. Expects the lock.

        Raises:
            ConfigurationError: the policy is for a variant that the model lacks; then nothing has changed.
        """
        self.set_policy(policy)
        self._pickers_by_name.clear()
        self._apply(settings)
        self.counts.configs_accepted += 1
        self.counts.configured_s = self._clock()

    def set_policy(self, policy: Policy) -> None:
        """Choose by another policy from now on. Expects the lock.

        Raises:
            ConfigurationError: the policy is for a variant that the model lacks; then nothing has changed.
        """
        policy.check(self.states)
        self._picker = Picker(policy)

    def _apply(self, settings: ModelSettings) -> None:
        self._settings = settings
        filters = self._filters
        if settings.device_limits:
            filters = (*filters, room_filter(self._capacity, settings.device_limits))
        self._plan = FilterPlan.of(each for each in filters if not each.constraint)
        self._constrained_plan = FilterPlan.of(filters)
        self._limited = bool(settings.device_limits)
        for state in self.states.values():
            state.candidate.weight = settings.weight(state.variant.device)

    def _route(self, context: RoutingContext, now_s: float) -> RoutingDecision:
        if self._abandoned:
            self._free_abandoned(now_s)
        deadline_ms = context.max_latency_ms
        if deadline_ms is None:
            deadline_ms = self._settings.max_latency_ms
        if deadline_ms is not None:
            deadline_ms -= context.spent_ms
        request = self._request
        request.context, request.deadline_ms, request.now_s = context, deadline_ms, now_s
        size = self._size(context)
        rejected: Rejected = []
        candidates = self._candidates(request, size, rejected)
        if deadline_ms is not None:
            candidates = self._in_time(candidates, request, deadline_ms, rejected)
        picker, arm = self._picker_for(context, now_s)
        choice = picker.pick(candidates, request, self._rng)
        state = self.states[choice[0].variant.name]
        place = state.dispatch(now_s)
        if self._limited and state.variant.device in self._settings.device_limits:
            self._capacity.take(place, state.variant.device, choice[0].memory_mb)
        return RoutingDecision(
            self.name,
            context,
            size,
            now_s,
            deadline_ms,
            choice,
            state,
            place,
            candidates,
            rejected,
            picker.policy,
            arm,
            self._abandoned.append,
        )

    def _candidates(self, request: Request, size: float, rejected: Rejected) -> list[Candidate]:
        """Return the variants that may serve a request, with their predictions for it.

        Raises:
            InvalidRequestError, NoVariantError: there are none.
        """
        now_s = request.now_s
        before, after = self._constrained_plan if request.context.is_constrained() else self._plan
        states = passing(before, self.states.values(), request, rejected) or take_back_resting(rejected)
        candidates = []
        unknown = False
        for state in states:
            candidate = state.predict(size, now_s)
            candidates.append(candidate)
            if candidate.service_ms == 0.0:
                unknown = True
        if unknown:
            self._cold_start.guess(states, size)
        if after:
            candidates = [state.candidate for state in passing(after, states, request, rejected)]
        if not candidates:
            raise self._no_variant(request.context, rejected)
        return candidates

    def _in_time(
        self, candidates: list[Candidate], request: Request, deadline_ms: float, rejected: Rejected
    ) -> list[Candidate]:
        """Return the candidates that would answer in time; all, if none would and such requests are served.

        There is no margin: one of 10 % lost 7 % of what was answered in time under overload, since it keeps
        requests from the slower variants that would just do.

        Raises:
            DeadlineError: none would, and such requests are refused.
        """
        timely = [each for each in candidates if each.wait_ms + each.service_ms <= deadline_ms]
        if not timely:
            stated = request.context.refuse_late
            if not (self._settings.refuse_late if stated is None else stated):
                return candidates
            timely = self._perhaps_in_time(candidates, deadline_ms)
        if len(timely) < len(candidates):
            late = [self.states[each.variant.name] for each in candidates if each not in timely]
            rejected += [(state, LATE) for state in late]
        return timely

    def _perhaps_in_time(self, candidates: list[Candidate], deadline_ms: float) -> list[Candidate]:
        """Return the candidates that might answer in time if they are better than predicted.

        Raises:
            DeadlineError: none might.
        """
        states = [self.states[candidate.variant.name] for candidate in candidates]
        perhaps = [state.candidate for state in states if state.optimistic_latency_ms <= deadline_ms]
        if perhaps:
            return perhaps
        for state in states:
            state.refused_since_sent += 1
        soonest_ms = min(candidate.latency_ms for candidate in candidates)
        raise DeadlineError(
            f"model '{self.name}': no variant can answer within {max(deadline_ms, 0.0):.4g} ms, the soonest "
            f"is expected in {soonest_ms:.4g} ms: allow more time, or send less"
        )

    def _picker_for(self, context: RoutingContext, now_s: float) -> tuple[Picker, Arm | None]:
        """Return the policy that a request names, else its goal's, its experiment's, or the model's own.

        A further attempt of a request with a unit is decided by the same arm, which counts the first alone.
        """
        if context.policy is not None:
            return self._picker_named(context.policy), None
        if context.optimization_goal is not None:
            return self._picker_named(POLICY_OF_GOAL[context.optimization_goal]), None
        if not self._experiments.running or context.warmup:
            return self._picker, None
        arm = self._experiments.arm_of(context.unit, now_s, self._rng)
        if arm is None:
            return self._picker, None
        return arm.picker, None if context.excluded_variants else arm

    def _picker_named(self, name: str) -> Picker:
        """Return the model's own if it has that name, else one for all requests that ask for it.

        Raises:
            RequestPolicyError: no policy has that name, or it is for a variant that the model lacks.
        """
        if name == self.policy.name:
            return self._picker
        if name not in self._pickers_by_name:
            try:
                policy = create_policy(name)
                policy.check(self.states)
            except ConfigurationError as error:
                raise RequestPolicyError(self.name, str(error)) from None
            self._pickers_by_name[name] = Picker(policy)
        return self._pickers_by_name[name]

    def _size(self, context: RoutingContext) -> float:
        """Return the request's size x: its elements relative to one item of the first request seen."""
        if not context.elements:
            return float(context.batch_size)
        if self._reference_elements == 0.0:
            self._reference_elements = context.elements / context.batch_size
        return context.elements / self._reference_elements

    def _answered(
        self,
        decision: RoutingDecision,
        place: Place,
        latency_ms: float,
        memory_mb: float | None,
        power_w: float | None,
        now_s: float,
    ) -> Execution:
        state = decision.state
        self._capacity.free(place)
        service_ms = state.answered(place, latency_ms, now_s)
        if service_ms is not None and self._settings.profiling:
            size, profile = decision.size, state.profile
            if not profile.learn(size, service_ms, decision.expected_latency_ms, latency_ms, now_s):
                service_ms = None
            if memory_mb is not None or power_w is not None:
                profile.learn_resources(size, memory_mb, power_w, now_s)
        plausible_ms = latency_ms if MIN_PLAUSIBLE <= latency_ms <= MAX_PLAUSIBLE else None
        execution = Execution(decision, _SUCCESS, now_s, plausible_ms, service_ms)
        self._observe(execution)
        return execution

    def _ended(self, decision: RoutingDecision, fault: Fault | None, now_s: float) -> Execution:
        """Count the end of an attempt that was not answered and whose place is free."""
        outcome = Outcome.IGNORED
        if fault is Fault.NOT_READY:
            decision.state.not_ready_reason = NOT_LOADED
        elif fault is not None:
            outcome = Outcome.FAILURE
            decision.state.failed(fault, now_s)
        execution = Execution(decision, outcome, now_s, fault=fault)
        self._observe(execution)
        return execution

    def _observe(self, execution: Execution) -> None:
        """Show how an attempt ended to the counters, the experiment's arm and the policy, in this order.

        The policy comes last: a defect in one that a user wrote leaves everything else in order.
        """
        decision = execution.decision
        if not decision.context.warmup:
            self._variant_counts[decision.state].observe(execution)
            if decision.arm is not None:
                self.counts.observe(execution)
                decision.arm.observe(execution)
        chooser = decision.chooser
        if chooser.learns and self._settings.profiling:
            chooser.observe(execution)

    def _free(self, state: VariantState, place: Place, now_s: float) -> None:
        self._capacity.free(place)
        state.released(place, now_s)

    def _free_abandoned(self, now_s: float) -> None:
        while self._abandoned:
            self._free(*self._abandoned.popleft(), now_s)

    def _no_variant(
        self, context: RoutingContext, rejected: Rejected
    ) -> InvalidRequestError | NoVariantError:
        reasons = "; ".join(f"{state.variant.name}: {reason}" for state, reason in rejected)
        largest = max(state.variant.max_batch_size for state in self.states.values())
        if largest and context.batch_size > largest:
            return InvalidRequestError(
                f"model '{self.name}': a batch of {context.batch_size} is above the largest "
                f"that a variant takes, {largest}: send smaller batches"
            )
        return NoVariantError(f"model '{self.name}': no variant can serve this request now ({reasons})")

    def _variant_metrics(self, state: VariantState, now_s: float) -> VariantMetrics:
        return VariantMetrics(
            variant=state.variant.name,
            device=state.variant.device,
            counts=self._variant_counts[state].copy(),
            measurements_rejected=state.profile.measurements_rejected,
            drift_alarms=state.profile.latency.change.alarms,
            in_flight=state.load.in_flight,
            utilization=state.load.utilization(now_s),
            breaker=state.breaker.state,
            ready=state.not_ready_reason is None,
            confidence=state.profile.confidence(now_s),
        )


def _refusal(error: RouterError) -> Refusal:
    if isinstance(error, DeadlineError):
        return Refusal.DEADLINE
    return Refusal.NO_VARIANT if isinstance(error, NoVariantError) else Refusal.INVALID_REQUEST


def check_variants(model_name: str, variants: Sequence[Variant]) -> None:
    """Refuse no variants, and one that is listed twice.

    Raises:
        ConfigurationError: the model and the variants.
    """
    names = [variant.name for variant in variants]
    if not names:
        raise ConfigurationError(f"model '{model_name}': expected at least one variant, found none")
    if len(set(names)) < len(names):
        raise ConfigurationError(
            f"model '{model_name}': every variant may stand once, found {', '.join(names)}"
        )
