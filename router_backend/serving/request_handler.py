"""Answers requests: decide, forward, report, and try another variant after a failure or a long wait."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import math
import time
from collections.abc import Callable

import triton_python_backend_utils as pb_utils

from router_backend.core.records.request import RoutingContext
from router_backend.errors import DEFECTS, InvalidRequestError, OverloadedError, Problem, RouterError
from router_backend.runtime.call_slots import REPLACED, CallSlots
from router_backend.runtime.overdue_watch import OverdueWatch
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.request_options import NO_OPTIONS, WHERE, RequestOptions, context_of, read_options
from router_backend.runtime.routed_request import Reception
from router_backend.runtime.router_model import RouterModel
from router_backend.runtime.worker_pool import WorkerPool
from router_backend.serving.answers import Answers
from router_backend.serving.client_request import (
    CANCELLATION_WORTH_ASKING_MS,
    Arrival,
    Call,
    ClientRequest,
    Overdue,
)
from router_backend.serving.copies import Copies
from router_backend.serving.forwarding import Forwarder
from router_backend.serving.responses import (
    canceled_response,
    error_response,
    explained_response,
    send,
    triton_log,
)
from router_backend.serving.tensors import check_can_be_explained, outputs_of_variant, size_of


class RequestHandler:
    """Answers the requests of one router model. Thread-safe.

    Args:
        model: the router model.
        readiness: which of its variants are loaded.
        answers: tells the answers of variants from their failures.
        copies: sends copies of answered requests.
        within_request: does what can only be done during a request.

    Attributes:
        answers: the same.
        copies: the same.
        watch: watches what may become overdue.
        batched: whether the model has a batch dimension.
    """

    def __init__(
        self,
        model: RouterModel,
        readiness: Readiness,
        answers: Answers,
        copies: Copies,
        within_request: Callable[[pb_utils.InferenceRequest], None],
    ) -> None:
        signature, parameters = model.setup.signature, model.setup.parameters
        self._reception = Reception(model, readiness)
        self.answers = answers
        self.copies = copies
        self.watch = OverdueWatch(triton_log().defect)
        self._within_request = within_request
        self._slots: CallSlots[Call] = CallSlots(self._reception.variants, parameters.worker_threads)
        # One thread more, so that what needs no call never waits for calls; lost calls keep theirs.
        self._pool: WorkerPool[Arrival | Call | Overdue] = WorkerPool(
            self.work, self._slots.total + REPLACED + 1, parameters.max_in_flight
        )
        self.resume, self._done = self._pool.resume, self._pool.done
        self.batched = signature.max_batch_size > 0
        self._output_names = [output.name for output in signature.outputs]

    def work(self, item: Arrival | Call | Overdue) -> None:
        """Do what there is to do for a request, and make its calls, as long as there are slots for them."""
        call = self._received(item) if isinstance(item, Arrival) else item.next_call()
        while call is not None:
            if call.has_slot or self._slots.enter(call):
                call = self._made(call)
            elif self._slots.are_stuck(call.variant):
                call = call.request.instead_of_stuck(call)
            else:
                return

    def answer(self, arrival: Arrival, response: pb_utils.InferenceResponse) -> None:
        """Answer a client, after what can only be done during a request."""
        try:
            self._within_request(arrival.request)
        finally:
            self._done()
            send(arrival.sender, response)

    def waits(self, call: Call) -> bool:
        """Return whether a call waits for a slot."""
        return self._slots.waits(call)

    def late(self, call: Call) -> None:
        """Note that a call that has a slot is overdue."""
        self._slots.late(call)

    def enter_at_last(self, call: Call) -> bool:
        """Let a call that waits take the slot of a lost call; return whether there was one."""
        return self._slots.enter_at_last(call)

    def withdraw(self, call: Call) -> bool:
        """Let a call no longer wait for a slot; return whether it did."""
        return self._slots.withdraw(call)

    def _received(self, arrival: Arrival) -> Call | None:
        """Return the first call of a request, unless it is answered without one."""
        try:
            return self._begun(arrival)
        except RouterError as error:
            self.answer(arrival, error_response(error))
        except DEFECTS as defect:  # a client waits for an answer
            self.answer(arrival, error_response(triton_log().defect(defect)))
        return None

    def _begun(self, arrival: Arrival) -> Call | None:
        """Return the first call of a request, unless it is answered without one.

        Raises:
            RouterError: the request is invalid.
        """
        request, arrived_s = arrival.request, arrival.at_s
        options = self._options(request)
        if options.report:
            self.answer(arrival, explained_response([], self._reception.report(), self.batched))
            return None
        if not self._reception.readiness.has_loaded:  # one may have been loaded since the last request
            self._within_request(request)
        inputs = request.inputs()
        unit = self._unit(request) if self._reception.unit_matters else ""
        context = context_of(*size_of(inputs, self.batched), options, unit)
        context.spent_ms = (time.monotonic() - arrived_s) * 1e3
        if context.spent_ms > CANCELLATION_WORTH_ASKING_MS and request.is_cancelled():
            self.answer(arrival, canceled_response())
            return None
        output_names = outputs_of_variant(request, self._output_names)
        forwarder = Forwarder(request, inputs, output_names, options.forwarded)
        client = ClientRequest(self, self._reception, context, options, arrival, forwarder)
        if options.dry_run:
            self.answer(arrival, explained_response([], client.dry_run(), self.batched))
            return None
        return client.first_call(self._bound_ms(context, request))

    def _bound_ms(self, context: RoutingContext, request: pb_utils.InferenceRequest) -> float:
        """Return after how long the client wants an error; infinite if never."""
        bound_ms = self._reception.logical.bound_ms(context) or math.inf
        timeout_us = request.timeout()
        return min(bound_ms, timeout_us / 1e3) if timeout_us else bound_ms

    def _made(self, call: Call) -> Call | None:
        """Make a call that has a slot; return the next one of its request."""
        try:
            response = self._answered_by(call)
            return None if response is None else call.request.ended(call, response)
        except DEFECTS as defect:  # a client waits for an answer
            call.request.defect(triton_log().defect(defect))
            return None

    def _answered_by(self, call: Call) -> pb_utils.InferenceResponse | None:
        """Make a call, unless it is not needed any more, and give its slot to one that waits."""
        try:
            return None if call.has_waited and call.request.is_over(call) else call.make()
        finally:
            waiting = self._slots.leave(call)
            if waiting is not None:
                waiting.has_slot = waiting.has_waited = True
                self.resume(waiting)

    def start(self) -> None:
        """Start the thread of the watch."""
        self.watch.start()

    def stop(self) -> None:
        """Finish what is in flight, then end the threads."""
        self._pool.drain()
        self.watch.stop()

    def submit(self, arrival: Arrival) -> None:
        """Hand a request to a thread, or refuse it if too many are in flight."""
        try:
            self._pool.submit(arrival)
        except OverloadedError as error:
            context = context_of(*size_of(arrival.request.inputs(), self.batched), NO_OPTIONS)
            self._reception.overloaded(context, arrival.at_s)
            send(arrival.sender, error_response(error))

    def _options(self, request: pb_utils.InferenceRequest) -> RequestOptions:
        """Return what the request asks of the router.

        Raises:
            InvalidRequestError: it asks for something invalid.
        """
        try:
            options = read_options(parameters_of(request), self._reception.variants)
            check_can_be_explained(options, request)
        except InvalidRequestError:
            self._reception.invalid()
            raise
        return options

    def _unit(self, request: pb_utils.InferenceRequest) -> str:
        return str(request.correlation_id() or "") or str(request.request_id())


def parameters_of(request: pb_utils.InferenceRequest) -> str:
    """Return a request's parameters, a JSON object or nothing.

    Raises:
        InvalidRequestError: a name or a text is not UTF-8.
    """
    try:
        return request.parameters()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(str(Problem(where=WHERE, expected="UTF-8", found=f"{error}"))) from None
