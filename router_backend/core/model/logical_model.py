"""One logical model: its settings, state and metrics under the router's lock."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

from router_backend.core.choosing.decision import UNMEASURED_FACTOR, Execution, RoutingDecision
from router_backend.core.choosing.hedging import HedgeBudget
from router_backend.core.experiments.model_experiments import ModelExperiments
from router_backend.core.model.environment import Environment
from router_backend.core.model.pickers import Pickers
from router_backend.core.model.recorder import Recorder
from router_backend.core.model.selector import Selector
from router_backend.core.policies.base import Policy
from router_backend.core.records.learned import LearnedModel
from router_backend.core.records.outcome import Fault, Refusal
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.telemetry.snapshot import ModelMetrics, VariantMetrics
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.core.variants.load import Place
from router_backend.core.variants.state import MEASURED, VariantState
from router_backend.errors import (
    ConfigurationError,
    DeadlineError,
    InvalidRequestError,
    NoVariantError,
    RouterError,
    ShedError,
)

HURRIED_FACTOR = 2.0
"""A request with little time goes to another variant after this multiple of the upper end."""


class LogicalModel:
    """Selects variants and records executions. Thread-safe, except for methods that expect the lock.

    It has at least one variant, each once, and a default policy of its own.

    Attributes:
        states: its variants by name.
        device_limits: the limits of each device, for all models together.

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
        self.states = {
            variant.name: VariantState(variant, settings.coverage, environment.copies) for variant in variants
        }
        self._lock, self._clock = environment.lock, environment.clock
        self._copies = environment.copies
        self._experiments = experiments
        self._hedges = HedgeBudget()
        self._abandoned: deque[tuple[VariantState, Place]] = deque()
        self._pickers = Pickers(name, self.states, policy, experiments, environment.rng)
        self._selector = Selector(
            name, self.states, self._pickers, settings, environment, self._abandoned.append
        )
        self._recorder = Recorder(self.states.values(), environment.capacity, environment.on_defect)
        self._apply(settings)

    def deadline_ms(self, context: RoutingContext) -> float | None:
        """Return a request's deadline from its arrival on; `None` if neither it nor the model has one."""
        own_ms = context.max_latency_ms
        return self._settings.max_latency_ms if own_ms is None else own_ms

    def bound_ms(self, context: RoutingContext) -> float | None:
        """Return after how long a request is refused even while a variant works on it; `None` if never."""
        refuses_late = context.refuse_late
        if refuses_late is None:
            refuses_late = self._settings.refuse_late
        return self.deadline_ms(context) if refuses_late else None

    def overdue_ms(self, decision: RoutingDecision) -> float:
        """Return after how long an attempt is overdue; infinite if never.

        That is a multiple of its wait and the upper end of its service time, but not before `overdue_min_ms`,
        since a call may be slow for once. What is ahead of it counts as predicted, however long it has been
        there: a call that was lost makes nobody wait longer. The interval counts up to the factor of a
        variant that was never measured: behind a lost call, predictions are so wrong that it becomes very
        wide.

        A request that is refused when it is late goes to another variant while there is time for it: when
        half of its deadline has passed, unless the variant may well need longer. Nothing exceeds
        `overdue_max_ms`.
        """
        settings = self._settings
        if not settings.overdue_factor:
            return math.inf
        if decision.basis is not MEASURED:
            return settings.overdue_unmeasured_ms
        service_ms = decision.expected_service_ms
        wait_ms = decision.expected_latency_ms - service_ms
        if wait_ms > 0.0:
            wait_ms = min(wait_ms, decision.state.load.work_ms())
        upper_ms = wait_ms + service_ms * min(math.exp(decision.half_width), UNMEASURED_FACTOR)
        bound_ms = max(settings.overdue_factor * upper_ms, settings.overdue_min_ms)
        if decision.deadline_ms is not None and self.bound_ms(decision.context) is not None:
            bound_ms = min(bound_ms, max(0.5 * decision.deadline_ms, HURRIED_FACTOR * upper_ms))
        return min(bound_ms, settings.overdue_max_ms)

    def now_s(self) -> float:
        """Return the time of the router's clock in seconds."""
        return self._clock()

    def route(self, context: RoutingContext, *, waits: bool = False) -> RoutingDecision:
        """Choose a variant and reserve a place in flight there.

        A refusal is not counted if the request `waits`, since an open attempt may answer it.

        Raises:
            InvalidRequestError: no variant can ever serve this request.
            NoVariantError: every variant is rejected now; the text says why.
            DeadlineError: none would answer in time, and late requests are refused.
        """
        asked_s = self._clock()
        with self._lock:
            counts = self._recorder.counts
            counts.decisions += 1
            now_s = self._clock()
            if self._abandoned:
                self._free_abandoned(now_s)
            try:
                return self._selector.select(context, now_s)
            except RouterError as error:
                if not (waits or context.warmup or context.dry_run):
                    counts.refusals[refusal_of(error)] += 1
                raise
            finally:
                counts.decision_s += self._clock() - asked_s

    @property
    def wants_copy(self) -> bool:
        """Whether there are variants that a copy of a request might measure; every answer asks this."""
        return self._copies and bool(self._recorder.unsettled or self._selector.doubted)

    def copy_of(self, context: RoutingContext) -> RoutingContext | None:
        """Return a copy of a request that measures a variant; `None` if none should be measured now."""
        if not self.wants_copy:
            return None
        with self._lock:
            return self._selector.copy_of(context, self._clock())

    def record(
        self,
        decision: RoutingDecision,
        latency_ms: float | None = None,
        memory_mb: float | None = None,
        power_w: float | None = None,
        fault: Fault | None = None,
    ) -> Execution | None:
        """Do what `ModelRouter.record_execution` does; return how it ended, `None` if that was known."""
        with self._lock:
            place = decision.take_place()
            if place is None:
                return None
            now_s = self._clock()
            if fault is None and latency_ms is not None:
                if decision.deadline_ms is not None and latency_ms > decision.deadline_ms:
                    self._selector.note_late_answer(decision, now_s)
                return self._recorder.answered(decision, place, latency_ms, memory_mb, power_w, now_s)
            self._recorder.free(decision.state, place, now_s)
            return self._recorder.ended(decision, fault, now_s)

    def plan_hedge(self, decision: RoutingDecision) -> float:
        """Return how long after a decision a second copy may be sent; infinite if never.

        That is the upper end of the prediction interval of the latency, or later if few copies may be sent.
        """
        settings, context = self._settings, decision.context
        wanted = settings.hedge if context.hedge is None else context.hedge
        if not wanted or context.warmup or context.dry_run or decision.basis is not MEASURED:
            return math.inf
        with self._lock:
            self._hedges.earn(decision.expected_service_ms, settings.hedge_share)
            patience = self._hedges.patience()
        return decision.expected_latency_ms * math.exp(patience * decision.half_width)

    def hedge(self, context: RoutingContext) -> RoutingDecision | None:
        """Choose a variant for the second copy of a request; `None` if it should not be sent.

        It is not sent to a variant where it would wait: then others would wait for it.
        """
        with self._lock:
            if self._hedges.left_ms <= 0.0:
                return None
            now_s = self._clock()
            try:
                decision = self._selector.select(context, now_s)
            except RouterError:
                return None
            if decision.expected_latency_ms > decision.expected_service_ms:
                place = decision.take_place()
                if place is not None:
                    self._recorder.free(decision.state, place, now_s)
                return None
            self._hedges.spend(decision.expected_service_ms)
            self._recorder.variant_counts[decision.state].hedges += 1
            return decision

    def hedge_won(
        self, first: RoutingDecision, execution: Execution, after_ms: float, *, failed: bool
    ) -> None:
        """Count that the second copy was answered first.

        Args:
            first: the decision about the request.
            execution: the answer.
            after_ms: how long after that decision the copy was sent.
            failed: whether the first variant has failed the request meanwhile.
        """
        with self._lock:
            self._recorder.variant_counts[execution.decision.state].hedges_won += 1
            if not failed:
                self._recorder.answered_by_hedge(first, execution, after_ms)

    def overdue(self, decision: RoutingDecision, waited_ms: float) -> None:
        """Free the place of an attempt that is overdue, and count it as a failure of the variant."""
        with self._lock:
            place = decision.take_place()
            if place is not None:
                long = waited_ms >= self._settings.overdue_min_ms
                self._recorder.overdue(decision, place, waited_ms, self._clock(), opens=long)

    def answered_late(self, decision: RoutingDecision, latency_ms: float, *, serves: bool) -> Execution:
        """Record that an overdue attempt was answered; it counts as an answer if it `serves` the client."""
        with self._lock:
            return self._recorder.answered_late(decision, latency_ms, self._clock(), serves=serves)

    def failed_late(self, decision: RoutingDecision, fault: Fault) -> None:
        """Record that an overdue attempt failed: this may say what ails the variant."""
        with self._lock:
            self._recorder.failed_late(decision, fault, self._clock())

    def release(self, decision: RoutingDecision) -> None:
        """Free the place of an attempt whose end cannot be judged yet; `conclude` follows."""
        with self._lock:
            place = decision.take_place()
            if place is not None:
                self._recorder.free(decision.state, place, self._clock())

    def conclude(self, decision: RoutingDecision, fault: Fault, *, blamed: bool) -> Execution:
        """Count the failure of a released attempt; the variant is `blamed` if another one answered."""
        with self._lock:
            return self._recorder.ended(decision, fault, self._clock(), blamed=blamed)

    def believes(self, rejections: Sequence[RoutingDecision]) -> bool:
        """Return whether a request is invalid, given the decisions whose variants rejected it, last one last.

        A variant is believed if it has answered a request since the last one that it rejected, or if no other
        variant can disagree, or one agrees, which restores its credit.
        """
        with self._lock:
            believed = rejections[-1].state.rejected()
            if len(rejections) > 1:
                for decision in rejections:
                    decision.state.restore_credit()
            return believed or len(rejections) > 1 or len(self.states) == 1

    def retried(self, decision: RoutingDecision) -> None:
        """Count that a request was sent to another variant after this decision's failed it."""
        if not decision.context.warmup:
            with self._lock:
                self._recorder.variant_counts[decision.state].retries += 1

    def count_reload(self, variant: str, *, succeeded: bool) -> None:
        """Count that a variant was loaded again because its process had died, or could not be."""
        with self._lock:
            counts = self._recorder.variant_counts[self.state(variant)]
            counts.reloads += succeeded
            counts.failed_reloads += not succeeded

    def refused(self, refusal: Refusal) -> None:
        """Count a request that was refused before it was routed."""
        with self._lock:
            self._recorder.counts.refusals[refusal] += 1

    def config_refused(self) -> None:
        """Count a change of the settings that was refused."""
        with self._lock:
            self._recorder.counts.configs_refused += 1

    def set_ready(self, variant: str, not_ready_reason: str | None) -> None:
        """Set the reason why a variant cannot take requests; `None` if it can."""
        with self._lock:
            state = self.state(variant)
            if state.not_ready_reason is not None and not_ready_reason is None:
                self._recorder.loaded_again(state, self._clock())
            state.not_ready_reason = not_ready_reason
            self._recorder.settle(state)

    def learned(self) -> LearnedModel:
        """Return what was learned about its variants."""
        with self._lock:
            now_s = self._clock()
            found = {name: state.learned(now_s) for name, state in self.states.items()}
            variants = {name: learned for name, learned in found.items() if learned is not None}
            return LearnedModel(self._selector.reference_elements, variants)

    def restore(self, learned: LearnedModel, absent_s: float) -> None:
        """Start from what was learned before; variants that it does not have are left out.

        Call this before the first request.

        Args:
            learned: what `learned` returned.
            absent_s: how long ago.
        """
        with self._lock:
            now_s = self._clock()
            self._selector.reference_elements = learned.reference_elements
            for name in learned.variants.keys() & self.states.keys():
                state = self.states[name]
                state.restore(learned.variants[name], absent_s, now_s)
                self._recorder.settle(state)

    def take_back(self, variant: str) -> None:
        """Let a variant take requests again that was kept from them for a while, and was not loaded again."""
        with self._lock:
            state = self.state(variant)
            state.not_ready_reason = None
            self._recorder.settle(state)

    def state(self, variant: str) -> VariantState:
        """Return the state of a variant, which must not be changed.

        Raises:
            InvalidRequestError: the model has no such variant.
        """
        if variant not in self.states:
            raise InvalidRequestError(
                f"model '{self.name}' has no variant '{variant}': expected one of {', '.join(self.states)}"
            )
        return self.states[variant]

    def reasons_out(self, now_s: float) -> dict[str, str]:
        """Return why variants can take no requests now, by name. Expects the lock."""
        return self._selector.reasons_out(now_s)

    def metrics(self) -> ModelMetrics:
        """Return the counts so far and the state of the variants. Expects the lock."""
        now_s = self._clock()
        counts = self._recorder.counts.copy()
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
        """Use other settings from now on; what was learned, and its coverage, stay. Expects the lock.

        Raises:
            ConfigurationError: the policy is for a variant that the model lacks; then nothing has changed.
        """
        self._pickers.use(policy)
        self._selector.configure(settings)
        self._apply(settings)
        self._recorder.counts.configs_accepted += 1

    def set_policy(self, policy: Policy) -> None:
        """Use another policy from now on. Expects the lock.

        Raises:
            ConfigurationError: the policy is for a variant that the model lacks; then nothing has changed.
        """
        self._pickers.use(policy)

    def _apply(self, settings: ModelSettings) -> None:
        self._settings = settings
        self.device_limits: Mapping[Device, DeviceLimits] = settings.device_limits
        self._recorder.profiling = settings.profiling
        self._recorder.counts.configured_s = self._clock()

    def _free_abandoned(self, now_s: float) -> None:
        while self._abandoned:
            self._recorder.free(*self._abandoned.popleft(), now_s)

    def _variant_metrics(self, state: VariantState, now_s: float) -> VariantMetrics:
        return VariantMetrics(
            variant=state.variant.name,
            device=state.variant.device,
            counts=self._recorder.variant_counts[state].copy(),
            measurements_rejected=state.profile.measurements_rejected,
            drift_alarms=state.profile.latency.change.alarms,
            in_flight=state.load.in_flight,
            utilization=state.load.utilization(now_s),
            breaker=state.breaker.state,
            basis=state.basis,
            ready=state.not_ready_reason is None,
            confidence=state.profile.confidence(now_s),
        )


def refusal_of(error: RouterError) -> Refusal:
    """Return as what a request counts that was not routed because of an error."""
    if isinstance(error, ShedError):
        return Refusal.SHED
    if isinstance(error, DeadlineError):
        return Refusal.DEADLINE
    return Refusal.NO_VARIANT if isinstance(error, NoVariantError) else Refusal.INVALID_REQUEST


def check_variants(model_name: str, variants: Sequence[Variant]) -> None:
    """Check that there are variants, each listed once.

    Raises:
        ConfigurationError: there is none, or one is listed twice.
    """
    names = [variant.name for variant in variants]
    if not names:
        raise ConfigurationError(where=f"model '{model_name}'", expected="at least one variant", found="none")
    if len(set(names)) < len(names):
        raise ConfigurationError(
            where=f"model '{model_name}'",
            expected="every variant once",
            found=", ".join(names),
            fix="name each variant once",
        )
