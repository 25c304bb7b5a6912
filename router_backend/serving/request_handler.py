"""Answers requests: decide, forward, report, and try another variant after a failure."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import time
from collections.abc import Sequence

import triton_python_backend_utils as pb_utils

from router_backend.config.load import RouterSetup
from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.model.logical_model import refusal_of
from router_backend.core.records.outcome import Refusal
from router_backend.core.records.request import RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.errors import InvalidRequestError, RouterError, VariantsFailedError
from router_backend.runtime.error_classifier import ErrorClassifier
from router_backend.runtime.explanation import explain, report
from router_backend.runtime.request_options import RequestOptions, read_options
from router_backend.runtime.trace_entry import Traced
from router_backend.runtime.trace_writer import TraceWriter
from router_backend.serving.copies import Copies
from router_backend.serving.forwarding import Forwarder
from router_backend.serving.readiness import Readiness
from router_backend.serving.responses import (
    canceled_response,
    error_response,
    explained_response,
    failure_of,
)
from router_backend.serving.tensors import (
    check_can_be_explained,
    context_of,
    context_of_request,
    outputs_of_variant,
)

# Asking the server whether the client has canceled costs up to a tenth of a call, so the router asks only for
# requests that were in its queue long enough to be canceled.
CANCELLATION_WORTH_ASKING_MS = 10.0


class RequestHandler:
    """Answers the requests of one router model. Thread-safe."""

    def __init__(
        self,
        model: RouterSetup,
        router: ModelRouter,
        readiness: Readiness,
        errors: ErrorClassifier,
        copies: Copies,
        trace: TraceWriter | None,
    ) -> None:
        self._name = model.name
        self._router = router
        self._readiness = readiness
        self._trace = trace
        self._errors = errors
        self._copies = copies
        self._variants = [variant.name for variant in model.variants]
        self._batched = model.signature.max_batch_size > 0
        self._output_names = [output.name for output in model.signature.outputs]

    def answer(self, request: pb_utils.InferenceRequest, arrived_s: float) -> pb_utils.InferenceResponse:
        """Return the answer to a request that arrived at `arrived_s` of the monotonic clock."""
        try:
            options = self._options(request)
            if options.report:
                return explained_response([], report(self._router), self._batched)
            inputs = request.inputs()
            unit_matters = bool(self._router.experiments)
            context = context_of_request(request, inputs, options, self._batched, unit_matters)
            context.spent_ms = (time.monotonic() - arrived_s) * 1e3
            context.dry_run = options.dry_run
            dispatch = self._router.dispatch(self._name, context)
            if options.dry_run:
                return self._dry_run(dispatch)
            if context.spent_ms > CANCELLATION_WORTH_ASKING_MS and request.is_cancelled():
                return canceled_response()
            output_names = outputs_of_variant(request, self._output_names)
            forwarder = Forwarder(request, inputs, output_names, options.forwarded)
            try:
                return self._serve(request, dispatch, forwarder, arrived_s, explained=options.explain)
            except RouterError as error:
                refusal = None if isinstance(error, VariantsFailedError) else refusal_of(error)
                self._unanswered(context, arrived_s, refusal, dispatch.failures)
                raise
        except RouterError as error:
            return error_response(error)

    def overloaded(self, request: pb_utils.InferenceRequest, arrived_s: float) -> None:
        """Count a request that arrived at `arrived_s` and found no thread."""
        self._router.model(self._name).refused(Refusal.OVERLOADED)
        if self._trace is not None:
            context = context_of(request.inputs(), self._batched)
            self._unanswered(context, arrived_s, Refusal.OVERLOADED, ())

    def _options(self, request: pb_utils.InferenceRequest) -> RequestOptions:
        """Return what the request asks of the router.

        Raises:
            InvalidRequestError: it asks for something invalid.
        """
        try:
            options = read_options(request.parameters(), self._variants)
            check_can_be_explained(options, request)
        except InvalidRequestError:
            self._router.model(self._name).refused(Refusal.INVALID_REQUEST)
            raise
        return options

    def _serve(
        self,
        request: pb_utils.InferenceRequest,
        dispatch: Dispatch,
        forwarder: Forwarder,
        arrived_s: float,
        *,
        explained: bool,
    ) -> pb_utils.InferenceResponse:
        """Forward until a variant answers.

        Raises:
            RouterError: there is no further attempt.
        """
        while True:
            attempt = dispatch.next_attempt()
            sent_s = time.monotonic()
            response = forwarder.call(attempt.variant)
            latency_ms = (time.monotonic() - sent_s) * 1e3
            failure = failure_of(response, attempt.variant, self._errors)
            if failure is None:
                execution = attempt.succeeded(latency_ms)
                if self._trace is not None and execution is not None:
                    self._trace.observe(Traced(execution.context, arrived_s, execution, dispatch.failures))
                self._copies.offer(dispatch, request, forwarder.inputs, forwarder.parameters)
                if not explained:
                    return response
                explanation = explain(attempt.decision, latency_ms, dispatch.failures)
                return explained_response(response.output_tensors(), explanation, self._batched)
            attempt.failed(*failure)
            self._readiness.failed(attempt)
            if request.is_cancelled():
                dispatch.cancel()
                self._unanswered(attempt.decision.context, arrived_s, None, dispatch.failures)
                return canceled_response()

    def _unanswered(
        self, context: RoutingContext, arrived_s: float, refusal: Refusal | None, failures: Sequence[Attempt]
    ) -> None:
        if self._trace is not None:
            deadline_ms = self._router.model(self._name).deadline_ms(context)
            self._trace.observe(Traced(context, arrived_s, None, failures, refusal, deadline_ms))

    def _dry_run(self, dispatch: Dispatch) -> pb_utils.InferenceResponse:
        attempt = dispatch.next_attempt()
        attempt.ignored()
        return explained_response([], explain(attempt.decision, None, []), self._batched)
