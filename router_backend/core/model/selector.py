"""Selects a variant for each request of one model: filters, predictions, deadline, policy."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from router_backend.core.choosing.cold_start import ColdStart
from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.choosing.filters import (
    LATE,
    FilterPlan,
    Rejected,
    passing,
    room_filter,
    take_back_resting,
)
from router_backend.core.choosing.wait_limits import WaitLimits
from router_backend.core.model.environment import Environment
from router_backend.core.model.pickers import Pickers
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.load import Place
from router_backend.core.variants.state import VariantState
from router_backend.errors import DeadlineError, InvalidRequestError, NoVariantError, ShedError

ANY_REQUEST = RoutingContext()


class Selector:
    """Makes the decisions of one model. Not thread-safe: the model's lock guards it.

    Attributes:
        reference_elements: the elements of an item, to which sizes are relative; 0 before the first request
            with elements.
        doubted: variants that a copy of a request might measure.
    """

    def __init__(
        self,
        model_name: str,
        states: Mapping[str, VariantState],
        pickers: Pickers,
        settings: ModelSettings,
        environment: Environment,
        abandon: Callable[[tuple[VariantState, Place]], None],
    ) -> None:
        self._model_name = model_name
        self._states = states
        self._pickers = pickers
        self._filters, self._capacity, self._rng = environment.filters, environment.capacity, environment.rng
        self._abandon = abandon
        self._request = Request(ANY_REQUEST, None, 0.0)
        self.reference_elements = 0.0
        self.doubted: set[VariantState] = set()
        self._cold_start = ColdStart(tried_by_copies=environment.copies)
        self._wait_limits = WaitLimits()
        self.configure(settings)

    def configure(self, settings: ModelSettings) -> None:
        """Use other settings from now on."""
        self._settings = settings
        self._limits = settings.device_limits
        filters = self._filters
        if self._limits:
            filters = (*filters, room_filter(self._capacity, self._limits))
        self._plan = FilterPlan.of(each for each in filters if not each.constraint)
        self._constrained_plan = FilterPlan.of(filters)
        for state in self._states.values():
            state.candidate.weight = settings.weight(state.variant.device)

    def select(self, context: RoutingContext, now_s: float) -> RoutingDecision:
        """Choose a variant and reserve a place in flight there; a dry run changes nothing and gets no place.

        Raises:
            InvalidRequestError, NoVariantError, DeadlineError: as `LogicalModel.route`.
        """
        deadline_ms = context.max_latency_ms
        if deadline_ms is None:
            deadline_ms = self._settings.max_latency_ms
        if deadline_ms is not None:
            deadline_ms -= context.spent_ms
        request = self._request
        request.context, request.deadline_ms, request.now_s = context, deadline_ms, now_s
        request.is_own = context.warmup
        size = self._size(context)
        rejected: Rejected = []
        candidates = self._candidates(request, size, rejected)
        if deadline_ms is not None:
            candidates = self._in_time(candidates, request, deadline_ms, rejected)
            if self._refuses_late(context):
                candidates = self._within_wait_limit(candidates, request)
        picker, arm = self._pickers.of(context, now_s)
        choice = picker.pick(candidates, request, self._rng)
        state = self._states[choice[0].variant.name]
        place = None if context.dry_run else self._dispatch(state, now_s)
        return RoutingDecision(
            self._model_name,
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
            self._abandon,
        )

    def _dispatch(self, state: VariantState, now_s: float) -> Place:
        """Reserve a place at a variant for the request being routed."""
        place = state.dispatch(now_s)
        if self._limits and state.variant.device in self._limits:
            self._capacity.take(place, state.variant.device, state.candidate.memory_mb)
        return place

    def copy_of(self, context: RoutingContext, now_s: float) -> RoutingContext | None:
        """Return a copy of a request for an idle variant that should be measured, if there is one."""
        self.doubted.clear()
        request = Request(context, None, now_s, is_own=True)
        available = passing(self._constrained_plan.before, self._states.values(), request, [])
        for state in available:
            if state.should_be_measured(now_s):
                state.copied(now_s)
                return replace(
                    context,
                    allowed_variants=frozenset({state.variant.name}),
                    excluded_variants=frozenset(),
                    max_latency_ms=None,
                    refuse_late=False,
                    warmup=True,
                )
        return None

    def reasons_out(self, now_s: float) -> dict[str, str]:
        """Return why variants can take no requests now, by name."""
        rejected: Rejected = []
        passing(self._plan.before, self._states.values(), Request(ANY_REQUEST, None, now_s), rejected)
        return {state.variant.name: reason for state, reason in rejected}

    def _size(self, context: RoutingContext) -> float:
        """Return the request's size x: its elements relative to one item of the first request."""
        if not context.elements:
            return float(context.batch_size)
        if self.reference_elements == 0.0:
            if context.dry_run:
                return float(context.batch_size)
            self.reference_elements = context.elements / context.batch_size
        return context.elements / self.reference_elements

    def _candidates(self, request: Request, size: float, rejected: Rejected) -> list[Candidate]:
        """Return the variants that may serve a request, with their predictions for it.

        Raises:
            InvalidRequestError, NoVariantError: there are none.
        """
        before, after = self._plan
        if request.context.is_constrained():
            before, after = self._constrained_plan
            self._check_names(request.context.allowed_variants or ())
        states = passing(before, self._states.values(), request, rejected) or take_back_resting(
            rejected, request.now_s
        )
        candidates = []
        unknown = False
        for state in states:
            candidate = state.predict(size, request)
            candidates.append(candidate)
            if candidate.service_ms == 0.0:
                unknown = True
        if unknown:
            self._cold_start.guess(states, size, request)
        if after:
            candidates = [state.candidate for state in passing(after, states, request, rejected)]
        if not candidates:
            raise self._no_variant(request.context, rejected)
        return candidates

    def _in_time(
        self, candidates: list[Candidate], request: Request, deadline_ms: float, rejected: Rejected
    ) -> list[Candidate]:
        """Return the candidates that would answer in time; all if none would and late requests are served.

        There is no margin: a margin of 10 % lost 7 % of the timely answers under overload, since it keeps
        requests from slower variants that would just be in time.

        Raises:
            DeadlineError: none would, and late requests are refused.
        """
        timely = [each for each in candidates if each.wait_ms + each.service_ms <= deadline_ms]
        if not timely:
            if not self._refuses_late(request.context):
                return candidates
            timely = self._perhaps_in_time(candidates, request, deadline_ms)
        if len(timely) < len(candidates):
            late = [self._states[each.variant.name] for each in candidates if each not in timely]
            rejected += [(state, LATE) for state in late]
            if not request.context.dry_run:
                self.doubted.update([state for state in late if state.late()])
        return timely

    def _refuses_late(self, context: RoutingContext) -> bool:
        stated = context.refuse_late
        return self._settings.refuse_late if stated is None else stated

    def _within_wait_limit(self, candidates: list[Candidate], request: Request) -> list[Candidate]:
        """Return the candidates whose wait is short enough for others to be in time, too.

        Raises:
            ShedError: there are none.
        """
        limits, priority, now_s = self._wait_limits, request.context.priority_level, request.now_s
        limit_ms = limits.limit_ms(priority, now_s)
        within = [each for each in candidates if each.wait_ms <= limit_ms]
        if request.context.dry_run:
            return within or candidates
        if within:
            limits.met(priority, now_s)
            return within
        soonest = min(candidates, key=lambda each: each.wait_ms + each.service_ms)
        if not limits.refuses(priority, soonest.service_ms):
            return candidates
        raise ShedError(
            f"model '{self._model_name}': the request would wait {soonest.wait_ms:.4g} ms, and requests of "
            f"priority {priority} may wait {limit_ms:.4g} ms now so that others are in time: "
            f"come again in {soonest.wait_ms - limit_ms:.4g} ms, or raise its priority"
        )

    def note_late_answer(self, decision: RoutingDecision, now_s: float) -> None:
        """Note that an answer came too late, if requests waited when it was sent."""
        if decision.in_flight > decision.state.load.concurrency:
            service_ms = decision.expected_service_ms
            wait_ms = decision.expected_latency_ms - service_ms
            self._wait_limits.missed(decision.context.priority_level, wait_ms, service_ms, now_s)

    def _note_late(self, candidates: list[Candidate], request: Request, deadline_ms: float) -> None:
        """Note a refusal that is due to requests that wait, not to what is in service or too slow."""
        fast = [each for each in candidates if each.service_ms <= deadline_ms]
        if fast:
            soonest = min(fast, key=lambda each: each.wait_ms)
            if soonest.in_flight > soonest.concurrency:
                priority, service_ms = request.context.priority_level, min(each.service_ms for each in fast)
                self._wait_limits.missed(priority, soonest.wait_ms, service_ms, request.now_s)

    def _perhaps_in_time(
        self, candidates: list[Candidate], request: Request, deadline_ms: float
    ) -> list[Candidate]:
        """Return the candidates that might answer in time because they are better than predicted.

        Raises:
            DeadlineError: none might.
        """
        now_s = request.now_s
        states = [self._states[candidate.variant.name] for candidate in candidates]
        perhaps = [state.candidate for state in states if state.optimistic_latency_ms(now_s) <= deadline_ms]
        if perhaps:
            return perhaps
        if not request.context.dry_run:
            for state in states:
                state.refused_since_sent += 1
            self._note_late(candidates, request, deadline_ms)
        spent_ms = request.context.spent_ms  # both times count from the request's arrival
        soonest_ms = spent_ms + min(candidate.latency_ms for candidate in candidates)
        fits = any(candidate.service_ms <= deadline_ms for candidate in candidates)
        later = f"come again in {soonest_ms - deadline_ms - spent_ms:.4g} ms, " if fits else ""
        raise DeadlineError(
            f"model '{self._model_name}': no variant can answer within {deadline_ms + spent_ms:.4g} ms, the "
            f"soonest is expected in {soonest_ms:.4g} ms: {later}allow more time, or send less"
        )

    def _check_names(self, allowed: Collection[str]) -> None:
        """Check that the model has the variants that a request allows.

        Raises:
            InvalidRequestError: it lacks one.
        """
        for name in allowed:
            if name not in self._states:
                known = ", ".join(self._states)
                raise InvalidRequestError(
                    f"model '{self._model_name}' has no variant '{name}': expected one of {known}"
                )

    def _no_variant(
        self, context: RoutingContext, rejected: Rejected
    ) -> InvalidRequestError | NoVariantError:
        variants = [state.variant for state in self._states.values()]
        allowed = [variant for variant in variants if context.allows(variant)]
        if not allowed:
            known = ", ".join(f"{variant.name} on {variant.device.value}" for variant in variants)
            return InvalidRequestError(
                f"model '{self._model_name}': the request allows none of its variants, which are {known}: "
                "allow one of them and its device"
            )
        reasons = "; ".join(f"{state.variant.name}: {reason}" for state, reason in rejected)
        largest = max(variant.max_batch_size for variant in allowed)
        if largest and context.batch_size > largest:
            return InvalidRequestError(
                f"model '{self._model_name}': a batch of {context.batch_size} is above the largest "
                f"that a variant takes, {largest}: send smaller batches"
            )
        is_limited = context.max_memory_mb is not None or context.max_power_w is not None
        fix = "raise its limits" if is_limited else "load a variant"
        return NoVariantError(
            f"model '{self._model_name}': no variant can serve this request now ({reasons}): {fix}, "
            "or try again later"
        )
