"""A client's request at the router, and its calls to variants."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
import time
from collections.abc import Callable
from functools import partial
from math import inf
from typing import NamedTuple, Protocol

import triton_python_backend_utils as pb_utils

from router_backend.core.dispatch import Attempt
from router_backend.core.records.request import RoutingContext
from router_backend.errors import DEFECTS, RouterError
from router_backend.runtime.overdue_watch import OverdueWatch
from router_backend.runtime.request_options import RequestOptions
from router_backend.runtime.routed_request import ASK_AGAIN_MS, Reception, RoutedRequest
from router_backend.serving.answers import Answers
from router_backend.serving.copies import Copies
from router_backend.serving.forwarding import Forwarder
from router_backend.serving.responses import (
    canceled_response,
    error_response,
    explained_response,
    triton_log,
)

# Asking the server whether the client has canceled costs up to a tenth of a call, so the router asks only for
# requests that have waited long enough to be canceled.
CANCELLATION_WORTH_ASKING_MS = 10.0


class Arrival(NamedTuple):
    """A request that waits for a thread, and the monotonic time of its arrival."""

    request: pb_utils.InferenceRequest
    sender: pb_utils.InferenceResponseSender
    at_s: float


class Service(Protocol):
    """What the requests of a router share.

    Attributes:
        answers: tells the answers of variants from their failures.
        copies: sends copies of answered requests.
        watch: watches what may become overdue.
        batched: whether the model has a batch dimension.
    """

    answers: Answers
    copies: Copies
    watch: OverdueWatch
    batched: bool

    def answer(self, arrival: Arrival, response: pb_utils.InferenceResponse) -> None:
        """Answer a client."""

    def resume(self, item: Call | Overdue) -> None:
        """Let another thread do what is next."""

    def waits(self, call: Call) -> bool:
        """Return whether a call waits for a slot."""

    def late(self, call: Call) -> None:
        """Note that a call that has a slot is overdue."""

    def enter_at_last(self, call: Call) -> bool:
        """Let a call that waits take the slot of a lost call; return whether there was one."""

    def withdraw(self, call: Call) -> bool:
        """Let a call no longer wait for a slot; return whether it did."""


class ClientRequest(RoutedRequest):
    """A client's request. Thread-safe: the threads of its calls and of the watch report to it.

    A running call cannot be ended. One that is overdue keeps its thread, another thread makes the next call,
    and the first answer is the client's.
    """

    __slots__ = ("_answered", "_limit", "_lock", "_service", "_slowness", "arrival", "forwarder")

    def __init__(
        self,
        service: Service,
        reception: Reception,
        context: RoutingContext,
        options: RequestOptions,
        arrival: Arrival,
        forwarder: Forwarder,
    ) -> None:
        super().__init__(reception, context, options, arrival.at_s)
        self._service = service
        self.arrival = arrival
        self.forwarder = forwarder
        self._lock = threading.Lock()
        self._answered = False
        self._limit: TimeLimit | None = None
        self._slowness: Slowness | None = None

    def first_call(self, bound_ms: float) -> Call | None:
        """Return its first call; `None` if the client has got the reason why there is none.

        If there is no answer within `bound_ms` of its arrival, the client gets an error.
        """
        call = self._next_call()
        if call is not None and bound_ms < inf:
            self._limit = TimeLimit(self, bound_ms)
            self._service.watch.add(self._limit)
        if call is not None and call.attempt.hedge_ms < inf and not self.arrival.request.correlation_id():
            self._slowness = Slowness(call)
            self._service.watch.add(self._slowness)
        return call

    def slow(self) -> Call | None:
        """Return a second call, as the first has not been answered yet; `None` if none is to be made now."""
        with self._lock:
            attempt = self.dispatch.send_hedge()
            if attempt is not None:
                return self._watched(Call(self, attempt))
            if self._slowness is not None and self._slowness.is_later():
                self._service.watch.add(self._slowness)
            return None

    def ended(self, call: Call, response: pb_utils.InferenceResponse) -> Call | None:
        """Record how a call ended, and answer the client if it has no answer yet; return the next call."""
        attempt, latency_ms = call.attempt, (time.monotonic() - call.sent_s) * 1e3
        failure = self._service.answers.failure_of(response, attempt, self.forwarder.output_names)
        self._service.watch.remove(call)
        with self._lock:
            if failure is not None:
                self.record_failure(attempt, failure)
                return self._after_failure()
            self.record_answer(attempt, latency_ms)
            if self._answered:
                return None
            self._answered = True
        forwarder = self.forwarder
        self._service.copies.offer(
            self.dispatch, self.arrival.request, forwarder.inputs, forwarder.parameters
        )
        if self.explains:
            explanation = self.explanation(attempt, latency_ms)
            response = explained_response(response.output_tensors(), explanation, self._service.batched)
        self._send(response)
        return None

    def is_over(self, call: Call) -> bool:
        """Return whether a call that had to wait need not be made: the client has its answer, or canceled."""
        with self._lock:
            if not self._answered and self.arrival.request.is_cancelled():
                self._cancel()
            if self._answered:
                self._service.watch.remove(call)
                call.attempt.withdrawn()
            return self._answered

    def overdue(self, call: Call) -> Call | None:
        """Note that a call is overdue, and return the one to make instead, if there is one."""
        with self._lock:
            try:
                return self._instead_of(call)
            except DEFECTS as defect:  # of a policy
                self.dispatch.cancel()
                self._refuse(triton_log().defect(defect))
                return None

    def instead_of_stuck(self, call: Call) -> Call | None:
        """Return the call to make instead of one that waits for calls that may never end, if there is one."""
        with self._lock:
            try:
                return self._instead_of_waiting(call) if self._service.waits(call) else None
            except DEFECTS as defect:  # of a policy
                self.dispatch.cancel()
                self._refuse(triton_log().defect(defect))
                return None

    def defect(self, error: RouterError) -> None:
        """Answer that there is a defect, unless the client has an answer."""
        with self._lock:
            self.dispatch.cancel()
            self._refuse(error)

    def too_late(self, bound_ms: float) -> None:
        """Answer that there is no answer in time, unless there is one."""
        with self._lock:
            if not self._answered:
                self._refuse(self.record_lateness(bound_ms))

    def later(self, overdue: Overdue) -> None:
        """Let another thread than that of the watch do what is overdue."""
        self._service.resume(overdue)

    def _instead_of(self, call: Call) -> Call | None:
        if self._service.waits(call):
            return self._instead_of_waiting(call)
        if call.attempt.is_on_time:
            self._service.late(call)
        self.record_overdue(call.attempt, call.bound_ms)
        if not self.dispatch.wants_attempt:
            return None
        request = self.arrival.request
        if request.is_cancelled():
            self._cancel()
            return None
        self.dispatch.repeats = not request.correlation_id()
        following = self._next_call()
        if following is None and self.dispatch.wants_attempt:
            self._ask_again(call)
        return following

    def _ask_again(self, call: Call) -> None:
        """Ask for the next call again later: a variant may be well again."""
        call.due_s = time.monotonic() + ASK_AGAIN_MS / 1e3
        self._service.watch.add(call)

    def _after_failure(self) -> Call | None:
        if not self.dispatch.wants_attempt:
            return None
        if self.arrival.request.is_cancelled():
            self._cancel()
            return None
        return self._next_call()

    def _instead_of_waiting(self, call: Call) -> Call | None:
        """Return the call to make instead of one that waits too long for a slot, if there is one."""
        if self._answered:
            return None
        try:
            attempt = self.next_attempt()
        except RouterError:
            if self._service.enter_at_last(call):
                call.has_slot = call.has_waited = True
                return call
            self._ask_again(call)
            return None
        if self._service.withdraw(call):
            call.attempt.withdrawn()
        return self._watched(Call(self, attempt))

    def _next_call(self) -> Call | None:
        try:
            attempt = self.next_attempt()
        except RouterError as error:
            if self.dispatch.has_ended:
                self._refuse(error)
            return None
        return self._watched(Call(self, attempt))

    def _watched(self, call: Call) -> Call:
        self._service.watch.add(call)
        return call

    def _cancel(self) -> None:
        self.record_cancellation()
        if not self._answered:
            self._answered = True
            self._send(canceled_response())

    def _refuse(self, error: RouterError) -> None:
        if not self._answered:
            self._answered = True
            self._send(error_response(error))

    def _send(self, response: pb_utils.InferenceResponse) -> None:
        for due in (self._limit, self._slowness):
            if due is not None:
                self._service.watch.remove(due)
        self._service.answer(self.arrival, response)


class Call:
    """A call to a variant, which a thread makes as soon as there is a slot for it.

    Args:
        request: the request that it is for.
        attempt: the attempt that it makes.

    Attributes:
        from_s: when that was decided, by the monotonic clock.
        sent_s: when it was sent; the same unless it waited for a slot.
        bound_ms: how long after its decision it is overdue; infinite if never.
        due_s: when that is, by the monotonic clock.
        has_slot: whether it may be made now.
        has_waited: whether it had to wait for its slot.
    """

    __slots__ = ("attempt", "bound_ms", "due_s", "from_s", "has_slot", "has_waited", "request", "sent_s")

    def __init__(self, request: ClientRequest, attempt: Attempt) -> None:
        self.request = request
        self.attempt = attempt
        self.bound_ms = attempt.bound_ms
        self.from_s = self.sent_s = time.monotonic()
        self.due_s = self.from_s + self.bound_ms / 1e3
        self.has_slot = False
        self.has_waited = False

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.attempt.variant

    @property
    def is_lost(self) -> bool:
        """Whether it is overdue and its variant serves others, so that it may never end."""
        return self.attempt.is_lost

    def make(self) -> pb_utils.InferenceResponse:
        """Call the variant and return its answer, which may be an error."""
        if self.has_waited:
            self.sent_s = time.monotonic()  # its wait for a slot says nothing about the variant
        return self.request.forwarder.call(self.variant)

    def next_call(self) -> Call:
        """Return itself."""
        return self

    def passed(self) -> None:
        """Let another thread make the next call, since this one is overdue."""
        self.request.later(Overdue(partial(self.request.overdue, self)))


class Slowness:
    """When a request counts as slow, so that another variant may get it as well.

    Args:
        call: its first call.

    Attributes:
        due_s: that time, by the monotonic clock.
    """

    __slots__ = ("_call", "due_s")

    def __init__(self, call: Call) -> None:
        self._call = call
        self.due_s = call.from_s + call.attempt.hedge_ms / 1e3

    def is_later(self) -> bool:
        """Take the time from the attempt again; return whether there is one."""
        self.due_s = self._call.from_s + self._call.attempt.hedge_ms / 1e3
        return self.due_s < inf

    def passed(self) -> None:
        """Let another thread send the second copy."""
        self._call.request.later(Overdue(self._call.request.slow))


class TimeLimit:
    """The end of the time that a client allows.

    Args:
        request: its request.
        bound_ms: the time, from its arrival on.

    Attributes:
        due_s: when it has passed, by the monotonic clock.
    """

    __slots__ = ("_bound_ms", "_request", "due_s")

    def __init__(self, request: ClientRequest, bound_ms: float) -> None:
        self._request = request
        self._bound_ms = bound_ms
        self.due_s = request.arrival.at_s + bound_ms / 1e3

    def passed(self) -> None:
        """Let another thread answer the client."""
        self._request.later(Overdue(partial(self._request.too_late, self._bound_ms)))


class Overdue(NamedTuple):
    """What a thread does when something is overdue; `next_call` returns the call to make then, if any."""

    next_call: Callable[[], Call | None]
