"""The life of one request: which variant to try next, and what the end of each attempt means."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

from router_backend.core.choosing.decision import Execution, RoutingDecision
from router_backend.core.model.logical_model import LogicalModel
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.errors import (
    DEFECTS,
    DeadlineError,
    InvalidRequestError,
    NoVariantError,
    VariantsFailedError,
)

INTERNAL = "INTERNAL"


class Hedge(NamedTuple):
    """A request that went to a second variant while the first worked on it.

    Args:
        first: the decision about the request.
        second: the decision about the copy.
        after_ms: how long after the first it was made.
    """

    first: RoutingDecision
    second: RoutingDecision
    after_ms: float


class Dispatch:
    """One request and its attempts at variants.

    A state machine without threads, timers or I/O, so that a thread, a callback, a simulator or an event
    loop can drive it: get the next attempt, forward the request to its variant, and report how the attempt
    ended, until one succeeds or there is no further attempt.

    The rules, for all callers:

    - A variant is tried at most once per request. But a request that is overdue everywhere may go once more
      to a variant that has answered another one since, or was loaded again: this one may have been lost.
    - The deadline is that of the whole request: each attempt gets what is left of it.
    - A dead process counts as the variant's failure at once, since it is not the request's fault.
    - An error may be the request's own fault. It counts as the variant's failure only if another variant
      answers the same request, and is ignored otherwise.
    - A variant that does not support the request is treated alike, but it is not ill: this only counts in
      what its requests cost, and does not keep others from it.
    - A request that a variant rejects as invalid ends with the variant's message, and counts for no variant.
      But a variant may be wrong: it is only believed if it has answered a request since the last one that it
      rejected, or if a second variant rejects the request, too. Otherwise a rejection is an error.
    - A request that is slow may be hedged: another variant gets it as well, while the first works on it. The
      first answer counts. What happens to the other attempt then says nothing about its variant: it may have
      been canceled.
    - A variant that is not ready gets no more requests until it is reported ready. This is not a failure.
    - An attempt that is overdue counts as a failure at once, and frees its place. It may still end: an answer
      serves the client if it is the first. While there is no other variant to try and none has failed, the
      request waits for it; then ask for an attempt again from time to time.

    Not thread-safe: one thread at a time may drive a request.

    Args:
        model: the logical model.
        context: the request, with `spent_ms` as of its first attempt.

    Attributes:
        attempts: all attempts so far.
        repeats: whether it may go to a variant twice; not if the variant keeps a state, as for a sequence.

    Examples:
        >>> from router_backend import Device, ModelRouter, Variant
        >>> router = ModelRouter()
        >>> router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
        >>> dispatch = router.dispatch("m", RoutingContext(batch_size=8))
        >>> for attempt in dispatch:
        ...     if len(dispatch.attempts) == 1:
        ...         attempt.failed(Fault.ERROR, "out of memory")
        ...     else:
        ...         execution = attempt.succeeded(latency_ms=4.1)
        >>> [each.message for each in dispatch.failures]
        ['out of memory']
    """

    __slots__ = (
        "_answered",
        "_context",
        "_ended",
        "_is_hedged",
        "_is_invalid",
        "_model",
        "_undecided",
        "attempts",
        "repeats",
    )

    def __init__(self, model: LogicalModel, context: RoutingContext) -> None:
        self._model = model
        self._context = context
        self._ended = False
        self._answered = False
        self._is_invalid = False
        self._is_hedged = False
        self._undecided: list[Attempt] = []
        self.attempts: list[Attempt] = []
        self.repeats = True

    def __iter__(self) -> Dispatch:
        """Iterate over attempts until one succeeds."""
        return self

    def __next__(self) -> Attempt:
        """Return the next attempt, as `next_attempt` does; stop after one that succeeded."""
        if self._ended:
            raise StopIteration
        return self.next_attempt()

    @property
    def has_ended(self) -> bool:
        """Whether it was answered, canceled, abandoned or ignored."""
        return self._ended

    @property
    def wants_attempt(self) -> bool:
        """Whether it has not ended, and no open attempt is on time."""
        return not self._ended and not any(attempt.is_on_time for attempt in self.attempts)

    @property
    def hedge(self) -> Hedge | None:
        """The second copy that was sent; `None` if there was none."""
        if not self._is_hedged:
            return None
        first, second = self.attempts[:2]
        after_ms = (second.decision.now_s - first.decision.now_s) * 1e3
        return Hedge(first.decision, second.decision, after_ms)

    @property
    def failures(self) -> list[Attempt]:
        """The attempts that failed, in order."""
        return [attempt for attempt in self.attempts if attempt.fault is not None]

    def next_attempt(self) -> Attempt:
        """Choose the variant to try next and reserve its place.

        It may be asked for while other attempts are open; if there is none, these may still answer.

        Raises:
            InvalidRequestError: as `ModelRouter.route_request`, or a variant rejected it, with its message.
            NoVariantError, DeadlineError: as `ModelRouter.route_request`.
            VariantsFailedError: no variant is left to try; the text has the errors of those that were tried.
        """
        if self._is_invalid:
            self.cancel()
            raise self._as_rejection()
        attempts = self.attempts
        try:
            decision = self._route_again() if attempts else self._model.route(self._context)
        except DEFECTS as error:  # without open attempts, it is the end of the request
            if self._may_be_answered():
                raise
            self.cancel()
            raise self._as_final(error) from None
        if attempts and attempts[-1].fault is not None:
            self._model.retried(attempts[-1].decision)
        attempt = Attempt(self, decision, self._model.overdue_ms(decision))
        if not attempts:
            attempt.hedge_ms = self._model.plan_hedge(decision)
        attempts.append(attempt)
        return attempt

    def send_hedge(self) -> Attempt | None:
        """Return an attempt at another variant, as the first has not answered within its `hedge_ms`.

        `None` if it has ended meanwhile, if such copies have used up their share of the load, or if no other
        variant can take it now; then `hedge_ms` says when to ask again. A request is hedged at most once.
        """
        first = self.attempts[0]
        if self._ended or len(self.attempts) > 1 or not first.is_on_time:
            first.hedge_ms = math.inf
            return None
        decision = self._model.hedge(self._remaining_context(self._tried()))
        if decision is None:
            first.hedge_ms *= 2.0
            return None
        first.hedge_ms = math.inf
        self._is_hedged = True
        attempt = Attempt(self, decision, self._model.overdue_ms(decision))
        self.attempts.append(attempt)
        return attempt

    @property
    def wants_copy(self) -> bool:
        """Whether `copy` may return one."""
        return self._model.wants_copy

    def copy(self) -> Dispatch | None:
        """Return a copy of an answered request that should be sent to a variant to measure it.

        No client waits for it, and it is not counted. `None` if no variant should be measured now.
        """
        context = self._model.copy_of(self._context)
        return None if context is None else Dispatch(self._model, context)

    def cancel(self) -> None:
        """End the request without an answer: errors so far do not count as failures of their variants."""
        self._ended = True
        for attempt in self.attempts:
            if attempt.is_on_time and attempt.close() is not None:
                self._model.record(attempt.decision)
        self._conclude(answered=False)

    def abandon(self) -> None:
        """End the request without an answer while attempts are open, because its time is up.

        How these end is still to be reported: the variant learns how long an answer took that came too late.
        """
        self._ended = True
        self._conclude(answered=False)

    def _succeeded(
        self, attempt: Attempt, latency_ms: float, memory_mb: float | None, power_w: float | None
    ) -> Execution | None:
        if self._lost(attempt):
            return None
        self._ended = self._answered = True
        execution = self._model.record(attempt.decision, latency_ms, memory_mb, power_w)
        hedge = self.hedge
        if hedge is not None and hedge.second is attempt.decision and execution is not None:
            failed = self.attempts[0].fault is not None
            self._model.hedge_won(hedge.first, execution, hedge.after_ms, failed=failed)
        if self._undecided:
            self._conclude(answered=True)
        return execution

    def _failed(self, attempt: Attempt, fault: Fault) -> None:
        if fault in (Fault.DEAD, Fault.NOT_READY):
            self._model.record(attempt.decision, fault=fault)
        elif self._lost(attempt):
            return
        elif self._answered:
            self._model.record(attempt.decision, fault=_disproved(fault))
        elif self._ended:
            self._model.record(attempt.decision)
        else:
            self._model.release(attempt.decision)
            self._undecided.append(attempt)
            if fault is Fault.REJECTED:
                self._rejected()

    def _lost(self, attempt: Attempt) -> bool:
        """Return whether a hedged request had its answer before this attempt ended, which then is ignored."""
        lost = self._answered and self._is_hedged
        if lost:
            self._model.record(attempt.decision)
        return lost

    def _rejected(self) -> None:
        """Decide whether the request is invalid, now that a variant rejected it."""
        rejections = [attempt.decision for attempt in self.attempts if attempt.fault is Fault.REJECTED]
        self._is_invalid = self._model.believes(rejections)

    def _overdue(self, attempt: Attempt, waited_ms: float) -> None:
        attempt.overdue_s = self._model.now_s()
        self._model.overdue(attempt.decision, waited_ms)

    def _withdrawn(self, attempt: Attempt) -> None:
        self._model.record(attempt.decision)

    def _answered_late(self, attempt: Attempt, latency_ms: float) -> Execution | None:
        serves = not self._ended
        self._ended = True
        self._answered = self._answered or serves
        execution = self._model.answered_late(attempt.decision, latency_ms, serves=serves)
        if serves:
            self._conclude(answered=True)
        return execution

    def _failed_late(self, attempt: Attempt, fault: Fault) -> None:
        self._model.failed_late(attempt.decision, fault)

    def _may_be_answered(self) -> bool:
        """Return whether an open attempt may answer: one on time, or an overdue one if no variant failed."""
        open_attempts = [attempt for attempt in self.attempts if attempt.is_open]
        failed = any(attempt.has_failed for attempt in self.attempts)
        return any(attempt.is_on_time for attempt in open_attempts) or bool(open_attempts and not failed)

    def _ignored(self, attempt: Attempt) -> None:
        self._ended = True
        self._model.record(attempt.decision)
        self._conclude(answered=False)

    def _conclude(self, *, answered: bool) -> None:
        """Count the errors whose blame was undecided until the request ended."""
        undecided, self._undecided = self._undecided, []
        for attempt in undecided:
            if attempt.fault is not None:
                fault = _disproved(attempt.fault) if answered else attempt.fault
                self._model.conclude(attempt.decision, fault, blamed=answered)

    def _route_again(self) -> RoutingDecision:
        """Route to a variant that was not tried, else to one that may answer a second time."""
        tried, well = self._tried(), self._well_again()
        waits = self._may_be_answered()
        try:
            return self._model.route(self._remaining_context(tried), waits=waits or bool(well))
        except NoVariantError:
            if not well:
                raise
        return self._model.route(self._remaining_context(tried - well), waits=waits)

    def _tried(self) -> set[str]:
        return {attempt.variant for attempt in self.attempts}

    def _well_again(self) -> set[str]:
        """Return the variants whose only attempt is overdue, and that have answered another request since."""
        if not self.repeats:
            return set()
        times = Counter(attempt.variant for attempt in self.attempts)
        return {
            attempt.variant for attempt in self.attempts if times[attempt.variant] == 1 and attempt.is_lost
        }

    def _remaining_context(self, excluded: set[str]) -> RoutingContext:
        """Return the request for its next attempt: without some variants, elapsed time added."""
        context = self._context
        passed_ms = max(0.0, self._model.now_s() - self.attempts[0].decision.now_s) * 1e3
        return replace(
            context,
            excluded_variants=context.excluded_variants | excluded,
            spent_ms=context.spent_ms + passed_ms,
        )

    def _as_final(self, error: BaseException) -> BaseException:
        """Return the error for the client when there is no further attempt."""
        failures = self.failures
        if not isinstance(error, NoVariantError):
            return error
        if any(attempt.fault is Fault.REJECTED for attempt in failures):
            return self._as_rejection()
        statuses = {attempt.status for attempt in failures if attempt.fault is not Fault.NOT_READY}
        if not statuses or isinstance(error, DeadlineError):
            return error
        tried = "; ".join(f"{attempt.variant}: {attempt.message}" for attempt in failures)
        return VariantsFailedError(
            f"model '{self._model.name}': no variant could answer the request ({tried})",
            status=statuses.pop() if len(statuses) == 1 else INTERNAL,
        )

    def _as_rejection(self) -> InvalidRequestError:
        """Return the error of the first variant that rejected the request."""
        rejections = (attempt.message for attempt in self.attempts if attempt.fault is Fault.REJECTED)
        return InvalidRequestError(next(rejections))


class Attempt:
    """One try of a request at one variant. Report its end with one of the methods; later reports do nothing.

    Args:
        dispatch: the request.
        decision: its decision.
        bound_ms: how long after the decision it is overdue; infinite if never.

    Attributes:
        decision: the same.
        bound_ms: the same.
        hedge_ms: how long after the decision to ask for a second copy (`Dispatch.send_hedge`) if there is no
            answer; infinite if never.
        overdue_s: since when it is overdue; infinite if it is not, or has failed since.
        fault: how the variant failed; `None` if it has not.
        message: the variant's error; empty if it did not fail.
        status: the gRPC status of that error.
    """

    __slots__ = ("_dispatch", "bound_ms", "decision", "fault", "hedge_ms", "message", "overdue_s", "status")

    def __init__(self, dispatch: Dispatch, decision: RoutingDecision, bound_ms: float) -> None:
        # `None` once its end is reported, so that no request leaves a cycle to the garbage collector.
        self._dispatch: Dispatch | None = dispatch
        self.decision = decision
        self.bound_ms = bound_ms
        self.hedge_ms = self.overdue_s = math.inf
        self.fault: Fault | None = None
        self.message = ""
        self.status = INTERNAL

    @property
    def variant(self) -> str:
        """The Triton model to forward the request to."""
        return self.decision.variant

    @property
    def is_open(self) -> bool:
        """Whether its end was not reported yet."""
        return self._dispatch is not None

    @property
    def is_on_time(self) -> bool:
        """Whether it is open and not overdue."""
        return self._dispatch is not None and self.fault is None

    @property
    def is_lost(self) -> bool:
        """Whether it is overdue, and its variant has answered another request since, or was loaded again."""
        return self.decision.state.well_s > self.overdue_s

    @property
    def has_failed(self) -> bool:
        """Whether the variant has failed it, rather than being late with it."""
        return self._dispatch is None and self.fault is not None and self.overdue_s == math.inf

    def close(self) -> Dispatch | None:
        """Take no more reports; return the request that the first one is for, `None` if there was one."""
        dispatch, self._dispatch = self._dispatch, None
        return dispatch

    def succeeded(
        self, latency_ms: float, *, memory_mb: float | None = None, power_w: float | None = None
    ) -> Execution | None:
        """Report an answer: the request is done, and the variant's profile learns.

        Args:
            latency_ms: from sending to answer.
            memory_mb: measured memory of the request; `None` if not measured.
            power_w: measured power of its device, which the requests in service share; `None` if not
                measured.

        Returns:
            How the attempt ended; `None` if that was reported before.
        """
        dispatch = self.close()
        if dispatch is None:
            return None
        if self.fault is not None:
            return dispatch._answered_late(self, latency_ms)
        return dispatch._succeeded(self, latency_ms, memory_mb, power_w)

    def overdue(self, waited_ms: float) -> None:
        """Report that there is no answer after so long: another variant may be tried.

        How it ends is still to be reported.
        """
        dispatch = self._dispatch
        if dispatch is not None and self.fault is None:
            self.fault = Fault.OVERDUE
            self.message = f"no answer within {waited_ms:.0f} ms"
            dispatch._overdue(self, waited_ms)

    def failed(self, fault: Fault, message: str = "", status: str = INTERNAL) -> None:
        """Report a failure: another variant may be tried.

        Args:
            fault: how the variant failed.
            message: the variant's error.
            status: its gRPC status; the client gets it if all variants that failed have the same.
        """
        dispatch = self.close()
        if dispatch is not None and self.fault is not None:
            self.message, self.status = message, status  # this says more than that it was overdue
            self.overdue_s = math.inf
            dispatch._failed_late(self, fault)
        elif dispatch is not None:
            self.fault = fault
            self.message = message
            self.status = status
            dispatch._failed(self, fault)

    def withdrawn(self) -> None:
        """Report that it was not sent or was canceled while the request continues: this says nothing."""
        dispatch = self.close()
        if dispatch is not None and self.fault is None:
            dispatch._withdrawn(self)

    def ignored(self) -> None:
        """Report an end that says nothing about the variant: a dry run, a measurement that must not count."""
        dispatch = self.close()
        if dispatch is not None and self.fault is None:
            dispatch._ignored(self)


def _disproved(fault: Fault) -> Fault:
    """Return the fault of a variant's error if another variant answers the request, which is thus valid."""
    return Fault.ERROR if fault is Fault.REJECTED else fault
