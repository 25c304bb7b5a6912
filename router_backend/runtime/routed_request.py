"""One client's request at the router, for any host: what it asks for, and what is recorded of it."""

from __future__ import annotations

from typing import Any

from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.model.logical_model import refusal_of
from router_backend.core.records.outcome import Fault, Refusal
from router_backend.core.records.request import RoutingContext
from router_backend.errors import DeadlineError, RouterError, VariantsFailedError
from router_backend.runtime.error_classifier import Failure
from router_backend.runtime.explanation import explain, report
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.request_options import RequestOptions
from router_backend.runtime.router_model import RouterModel
from router_backend.runtime.trace_entry import Traced

CANCELED_BY_CLIENT = "the client canceled the request"
ASK_AGAIN_MS = 250.0
"""How often a request that is overdue everywhere asks whether a variant is well again."""


class Reception:
    """Starts the requests of one router model.

    Attributes:
        model: the router model.
        logical: its logical model.
        variants: the names of its variants.
        readiness: learns from failures which variants are not loaded.
    """

    def __init__(self, model: RouterModel, readiness: Readiness) -> None:
        self.model = model
        self.logical = model.router.model(model.setup.name)
        self.variants = [variant.name for variant in model.setup.variants]
        self.readiness = readiness

    @property
    def unit_matters(self) -> bool:
        """Whether experiments run, which assign an arm by the unit of a request."""
        return bool(self.model.router.experiments)

    def report(self) -> dict[str, Any]:
        """Return the state of the devices and experiments."""
        return report(self.model.router)

    def invalid(self) -> None:
        """Count a request that asks for something invalid."""
        self.logical.refused(Refusal.INVALID_REQUEST)

    def overloaded(self, context: RoutingContext, arrived_s: float) -> None:
        """Count a request that arrived while too many others were in flight."""
        self.logical.refused(Refusal.OVERLOADED)
        self.unanswered(context, arrived_s, Refusal.OVERLOADED, [])

    def unanswered(
        self, context: RoutingContext, arrived_s: float, refusal: Refusal | None, failures: list[Attempt]
    ) -> None:
        """Trace a request that got no answer."""
        trace = self.model.trace
        if trace is not None:
            deadline_ms = self.logical.deadline_ms(context)
            trace.observe(Traced(context, arrived_s, None, failures, refusal, deadline_ms))


class RoutedRequest:
    """A request that a host forwards to variants. Not thread-safe.

    Args:
        reception: what the requests of its model share.
        context: what is known about it.
        options: what it asks of the router.
        arrived_s: when it arrived, by the monotonic clock.

    Attributes:
        dispatch: its life at the router.
        explains: whether the answer comes with the decision.
    """

    __slots__ = ("_arrived_s", "_context", "_reception", "dispatch", "explains")

    def __init__(
        self, reception: Reception, context: RoutingContext, options: RequestOptions, arrived_s: float
    ) -> None:
        self._reception = reception
        self._context = context
        self._arrived_s = arrived_s
        self.dispatch = Dispatch(reception.logical, context)
        self.explains = options.explain

    def next_attempt(self) -> Attempt:
        """Return the next attempt, as `Dispatch.next_attempt`; trace the request if this is its end."""
        try:
            return self.dispatch.next_attempt()
        except RouterError as error:
            if self.dispatch.has_ended:
                self._unanswered(None if isinstance(error, VariantsFailedError) else refusal_of(error))
            raise

    def record_answer(self, attempt: Attempt, latency_ms: float) -> None:
        """Record that a variant answered, perhaps too late."""
        trace = self._reception.model.trace
        if trace is None:
            attempt.succeeded(latency_ms)
            return
        is_late = self.dispatch.has_ended
        execution = attempt.succeeded(latency_ms)
        if execution is not None and not is_late:
            failures, hedge = self.dispatch.failures, self.dispatch.hedge
            trace.observe(Traced(execution.context, self._arrived_s, execution, failures, hedge=hedge))

    def record_failure(self, attempt: Attempt, failure: Failure) -> None:
        """Record that a variant failed."""
        attempt.failed(*failure)
        self._reception.readiness.failed(attempt.variant, failure.fault)
        self._reception.model.failed(attempt)

    def record_overdue(self, attempt: Attempt, waited_ms: float) -> None:
        """Record that a variant has not answered in time, unless this is known."""
        if attempt.is_on_time:
            attempt.overdue(waited_ms)
            self._reception.readiness.failed(attempt.variant, Fault.OVERDUE)

    def record_cancellation(self) -> None:
        """Record that the client has canceled the request."""
        self.dispatch.cancel()
        self._unanswered(None)

    def record_lateness(self, bound_ms: float) -> DeadlineError:
        """Record that its time is up while a variant works on it; return the error for the client."""
        waits_for = [attempt.variant for attempt in self.dispatch.attempts if attempt.is_open]
        self.dispatch.abandon()
        self._reception.logical.refused(Refusal.DEADLINE)
        self._unanswered(Refusal.DEADLINE)
        return DeadlineError(
            f"model '{self._reception.logical.name}': expected an answer within {bound_ms:.4g} ms, found "
            f"none yet from {' and '.join(waits_for)}: allow more time, or send less"
        )

    def explanation(self, attempt: Attempt, latency_ms: float | None) -> dict[str, Any]:
        """Return the decision of an attempt, with how long it took, as JSON types."""
        return explain(attempt.decision, latency_ms, self.dispatch.failures, self.dispatch.hedge)

    def dry_run(self) -> dict[str, Any]:
        """Return the decision about the request, which is not forwarded."""
        attempt = self.dispatch.next_attempt()
        attempt.ignored()
        return self.explanation(attempt, None)

    def _unanswered(self, refusal: Refusal | None) -> None:
        self._reception.unanswered(self._context, self._arrived_s, refusal, self.dispatch.failures)
