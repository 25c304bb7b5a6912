"""Answers requests: decide, forward, learn, and try another variant after a failure."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import time
import traceback
from collections.abc import Sequence
from dataclasses import replace

import triton_python_backend_utils as pb_utils

from router_backend.config.router_model import DECISION_OUTPUT, RouterModel
from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.records.request import RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.core.variants.health import Fault
from router_backend.errors import (
    DeadlineError,
    InvalidRequestError,
    NoVariantError,
    RequestPolicyError,
    RouterError,
    VariantsFailedError,
)
from router_backend.runtime.explanation import explain
from router_backend.runtime.report import report
from router_backend.runtime.request_options import NO_OPTIONS, RequestOptions, read_options
from router_backend.runtime.symptoms import Symptoms
from router_backend.runtime.trace_writer import TraceWriter
from router_backend.serving.forwarding import Forwarder
from router_backend.serving.readiness import Readiness
from router_backend.serving.responses import (
    canceled_response,
    error_response,
    explained_response,
    has_response_parameters,
)
from router_backend.serving.tensors import context_of

Failures = list[tuple[RoutingDecision, str]]


class RequestHandler:
    """Answers the requests of one router model, from any number of threads.

    Args:
        model: the router model.
        router: what decides.
        readiness: is told of variants that are not loaded.
        trace: records what was answered; None: nothing does.
    """

    # Asking the server whether the client has gone costs as much as a tenth of a call: it is asked only
    # of requests that have had the time to be canceled.
    CANCELLATION_WORTH_ASKING_MS = 10.0

    def __init__(
        self, model: RouterModel, router: ModelRouter, readiness: Readiness, trace: TraceWriter | None
    ) -> None:
        self._name = model.name
        self._router = router
        self._readiness = readiness
        self._trace = trace
        self._variants = [variant.name for variant in model.variants]
        self._symptoms = {name: Symptoms.of(name, model.repository) for name in self._variants}
        self._batched = model.signature.max_batch_size > 0
        self._output_names = [output.name for output in model.signature.outputs]

    def answer(self, request: pb_utils.InferenceRequest, arrived_s: float) -> pb_utils.InferenceResponse:
        """The answer to a request that came at `arrived_s` of the monotonic clock."""
        try:
            options = read_options(request.parameters(), self._variants)
            if options is not NO_OPTIONS and options.told_by is not None:
                _check_can_be_told(options.told_by, request)
            inputs = request.inputs()
            if options.report:
                return explained_response([], report(self._router), self._batched)
            context = self._context(request, inputs, options, arrived_s)
            if options.dry_run:
                return self._dry_run(context)
            if context.spent_ms > self.CANCELLATION_WORTH_ASKING_MS and request.is_cancelled():
                return canceled_response()
            forwarder = Forwarder(request, inputs, self._wanted_outputs(request), options.forwarded)
            return self._serve(request, forwarder, context, options, arrived_s)
        except RequestPolicyError as error:
            told = InvalidRequestError(f"request parameter 'router_policy': {error.reason}")
            return error_response(told)
        except RouterError as error:
            return error_response(error)

    def _serve(
        self,
        request: pb_utils.InferenceRequest,
        forwarder: Forwarder,
        context: RoutingContext,
        options: RequestOptions,
        arrived_s: float,
    ) -> pb_utils.InferenceResponse:
        """Forward until a variant answers; each that fails is excluded from the next choice."""
        failures: Failures = []
        while True:
            decision = self._decide(context, failures)
            if failures:
                self._router.report_retry(failures[-1][0])
            dispatched_s = time.monotonic()
            response = forwarder.call(decision.variant)
            latency_ms = (time.monotonic() - dispatched_s) * 1e3
            if not response.has_error():
                self._record(context, decision, arrived_s, latency_ms)
                if failures:
                    self._settle(failures, answered=True)
                if options.explain:
                    response = self._explained(decision, response.output_tensors(), latency_ms, failures)
                return response
            failures.append((decision, response.error().message()))
            self._failed(*failures[-1])
            if request.is_cancelled():
                self._settle(failures, answered=False)
                return canceled_response()
            context = replace(
                context,
                excluded_variants=context.excluded_variants | {decision.variant},
                spent_ms=_spent_ms(arrived_s),
            )

    def _context(
        self,
        request: pb_utils.InferenceRequest,
        inputs: Sequence[pb_utils.Tensor],
        options: RequestOptions,
        arrived_s: float,
    ) -> RoutingContext:
        context = context_of(inputs, self._batched)
        if self._router.has_experiments:
            context.unit = options.sticky_key or str(request.correlation_id() or "") or request.request_id()
        context.max_latency_ms = options.max_latency_ms
        context.spent_ms = _spent_ms(arrived_s)
        return replace(context, **options.context) if options.context else context

    def _decide(self, context: RoutingContext, failures: Failures) -> RoutingDecision:
        try:
            return self._router.route_request(self._name, context)
        except RouterError as error:
            self._settle(failures, answered=False)
            late = isinstance(error, DeadlineError)  # it may be sent again, with more time, like any other
            nobody = isinstance(error, NoVariantError) and not late
            if not nobody or all(self._is_not_ready(*each) for each in failures):
                raise
            tried = "; ".join(f"{decision.variant}: {message}" for decision, message in failures)
            raise VariantsFailedError(
                f"model '{self._name}': no variant could answer the request ({tried})"
            ) from None

    def _record(
        self, context: RoutingContext, decision: RoutingDecision, arrived_s: float, latency_ms: float
    ) -> None:
        try:
            self._router.record_execution(decision, latency_ms=latency_ms)
            if self._trace is not None:
                self._trace.record(context, decision, arrived_s, latency_ms)
        except Exception:  # noqa: BLE001 - a defect in somebody's policy; the client's answer is there already
            pb_utils.Logger.log_error(traceback.format_exc())

    def _failed(self, decision: RoutingDecision, message: str) -> None:
        # That a process has ended is no request's fault; any other error may be: `_settle` counts it.
        dead = self._is_dead(decision, message)
        self._router.record_execution(decision, error=Fault.DEAD if dead else None, counted=dead)
        if self._is_not_ready(decision, message):
            self._readiness.missing(decision.variant)

    def _settle(self, failures: Failures, *, answered: bool) -> None:
        """Count the failures of a request that has ended; what another variant answered was not its fault."""
        for failed, message in failures:
            if self._is_dead(failed, message):
                continue
            if answered and not self._is_not_ready(failed, message):
                self._router.report_fault(failed, Fault.ERROR)
            else:
                self._router.report_ignored(failed)

    def _is_not_ready(self, decision: RoutingDecision, message: str) -> bool:
        return self._symptoms[decision.variant].is_not_ready(message)

    def _is_dead(self, decision: RoutingDecision, message: str) -> bool:
        return self._symptoms[decision.variant].is_dead(message)

    def _dry_run(self, context: RoutingContext) -> pb_utils.InferenceResponse:
        decision = self._decide(context, [])
        self._router.record_execution(decision)
        return explained_response([], explain(decision, None, []), self._batched)

    def _explained(
        self,
        decision: RoutingDecision,
        output_tensors: Sequence[pb_utils.Tensor],
        latency_ms: float,
        failures: Failures,
    ) -> pb_utils.InferenceResponse:
        failed = [(failure.variant, message) for failure, message in failures]
        return explained_response(output_tensors, explain(decision, latency_ms, failed), self._batched)

    def _wanted_outputs(self, request: pb_utils.InferenceRequest) -> list[str]:
        """The outputs to ask the variant for: the router's own is not among its outputs."""
        wanted = list(request.requested_output_names())
        if DECISION_OUTPUT.name in wanted:
            wanted.remove(DECISION_OUTPUT.name)
        return wanted or self._output_names


def _spent_ms(arrived_s: float) -> float:
    return (time.monotonic() - arrived_s) * 1e3


def _check_can_be_told(parameter: str, request: pb_utils.InferenceRequest) -> None:
    """Refuse a request that asks to be told, and wants no output in which it could be.

    Raises:
        InvalidRequestError: it names its outputs, but not the decision, and responses have no parameters.
    """
    named = request.requested_output_names()  # of a client that names none: all of them
    if DECISION_OUTPUT.name not in named and not has_response_parameters():
        raise InvalidRequestError(
            f"request parameter '{parameter}': expected '{DECISION_OUTPUT.name}' among the requested "
            f"outputs, found {', '.join(sorted(named))}: "
            f"add '{DECISION_OUTPUT.name}' to the requested outputs, or request none by name"
        )
