"""Answers requests: decide, forward, report, and try another variant after a failure."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import time

import triton_python_backend_utils as pb_utils

from router_backend.errors import InvalidRequestError, Problem, RouterError
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.request_options import NO_OPTIONS, WHERE, RequestOptions, context_of, read_options
from router_backend.runtime.routed_request import Reception, RoutedRequest
from router_backend.runtime.router_model import RouterModel
from router_backend.serving.answers import Answers
from router_backend.serving.copies import Copies
from router_backend.serving.forwarding import Forwarder
from router_backend.serving.responses import (
    canceled_response,
    error_response,
    explained_response,
)
from router_backend.serving.tensors import check_can_be_explained, outputs_of_variant, size_of

# Asking the server whether the client has canceled costs up to a tenth of a call, so the router asks only for
# requests that were in its queue long enough to be canceled.
CANCELLATION_WORTH_ASKING_MS = 10.0


class RequestHandler:
    """Answers the requests of one router model. Thread-safe."""

    def __init__(self, model: RouterModel, readiness: Readiness, answers: Answers, copies: Copies) -> None:
        signature = model.setup.signature
        self._reception = Reception(model, readiness)
        self._answers = answers
        self._copies = copies
        self._batched = signature.max_batch_size > 0
        self._output_names = [output.name for output in signature.outputs]

    def answer(self, request: pb_utils.InferenceRequest, arrived_s: float) -> pb_utils.InferenceResponse:
        """Return the answer to a request that arrived at `arrived_s` of the monotonic clock."""
        try:
            options = self._options(request)
            if options.report:
                return explained_response([], self._reception.report(), self._batched)
            inputs = request.inputs()
            unit = self._unit(request) if self._reception.unit_matters else ""
            context = context_of(*size_of(inputs, self._batched), options, unit)
            context.spent_ms = (time.monotonic() - arrived_s) * 1e3
            routed = RoutedRequest(self._reception, context, options, arrived_s)
            if options.dry_run:
                return explained_response([], routed.dry_run(), self._batched)
            if context.spent_ms > CANCELLATION_WORTH_ASKING_MS and request.is_cancelled():
                return canceled_response()
            output_names = outputs_of_variant(request, self._output_names)
            return self._serve(request, routed, Forwarder(request, inputs, output_names, options.forwarded))
        except RouterError as error:
            return error_response(error)

    def overloaded(self, request: pb_utils.InferenceRequest, arrived_s: float) -> None:
        """Count a request that arrived at `arrived_s` and found no thread."""
        context = context_of(*size_of(request.inputs(), self._batched), NO_OPTIONS)
        self._reception.overloaded(context, arrived_s)

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

    def _serve(
        self, request: pb_utils.InferenceRequest, routed: RoutedRequest, forwarder: Forwarder
    ) -> pb_utils.InferenceResponse:
        """Forward until a variant answers.

        Raises:
            RouterError: there is no further attempt.
        """
        while True:
            attempt = routed.next_attempt()
            sent_s = time.monotonic()
            response = forwarder.call(attempt.variant)
            latency_ms = (time.monotonic() - sent_s) * 1e3
            failure = self._answers.failure_of(response, attempt, forwarder.output_names)
            if failure is None:
                routed.record_answer(attempt, latency_ms)
                self._copies.offer(routed.dispatch, request, forwarder.inputs, forwarder.parameters)
                if not routed.explains:
                    return response
                explanation = routed.explanation(attempt, latency_ms)
                return explained_response(response.output_tensors(), explanation, self._batched)
            routed.record_failure(attempt, failure)
            if request.is_cancelled():
                routed.record_cancellation()
                return canceled_response()


def parameters_of(request: pb_utils.InferenceRequest) -> str:
    """Return a request's parameters, a JSON object or nothing.

    Raises:
        InvalidRequestError: a name or a text is not UTF-8.
    """
    try:
        return request.parameters()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(str(Problem(where=WHERE, expected="UTF-8", found=f"{error}"))) from None
