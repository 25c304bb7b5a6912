"""Sends requests of the router's own to variants, to learn from them."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import triton_python_backend_utils as pb_utils

from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.records.outcome import Fault
from router_backend.errors import NoVariantError
from router_backend.runtime.error_classifier import Failure
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.request_options import ParameterValue
from router_backend.runtime.stuck_calls import StuckCalls
from router_backend.serving.answers import Answers


class Measuring:
    """Makes calls of the router's own, each in a thread of its own, since a variant may never answer.

    Args:
        output_names: what is requested of variants.
        answers: tells their answers from their failures.
        readiness: which of them are loaded.
    """

    def __init__(self, output_names: Sequence[str], answers: Answers, readiness: Readiness) -> None:
        self._output_names = output_names
        self._answers = answers
        self._readiness = readiness
        self._stuck = StuckCalls(StuckCalls.TOTAL_WITH_THREADS)

    def measure(
        self,
        dispatch: Dispatch,
        inputs: Sequence[pb_utils.Tensor],
        parameters: dict[str, ParameterValue],
    ) -> None:
        """Send a request that may only go to one variant, and report how it ended, or that it is overdue.

        Raises:
            NoVariantError: the variant cannot take requests now, or has not answered in time.
            InvalidRequestError: the variant rejected it.
            VariantsFailedError: the variant failed.
        """
        for attempt in dispatch:
            if not self._stuck.allows(attempt.variant):
                attempt.ignored()
                raise NoVariantError(f"'{attempt.variant}' has not answered the router's last requests yet")
            request = pb_utils.InferenceRequest(
                model_name=attempt.variant,
                inputs=inputs,
                requested_output_names=self._output_names,
                parameters=parameters,
            )
            self._make(_OwnCall(attempt, partial(self._failure_of, attempt), request))

    def _make(self, call: _OwnCall) -> None:
        bound_ms = call.attempt.bound_ms
        call.start()
        if call.is_overdue_after(bound_ms):
            variant = call.attempt.variant
            self._stuck.add(variant, call.attempt)
            self._readiness.failed(variant, Fault.OVERDUE)
            raise NoVariantError(f"'{variant}': {call.attempt.message}")

    def _failure_of(self, attempt: Attempt, response: pb_utils.InferenceResponse) -> Failure | None:
        """Return how a call that has ended failed; its variant is then looked for, if not loaded."""
        self._stuck.ended(attempt.variant, attempt)
        failure = self._answers.failure_of(response, attempt, self._output_names)
        if failure is not None:
            self._readiness.failed(attempt.variant, failure.fault)
        return failure


class _OwnCall(threading.Thread):
    """A call of the router's own.

    Attributes:
        attempt: the attempt that it makes.
        sent_s: when it was sent, by the monotonic clock.
    """

    def __init__(
        self,
        attempt: Attempt,
        failure_of: Callable[[pb_utils.InferenceResponse], Failure | None],
        request: pb_utils.InferenceRequest,
    ) -> None:
        super().__init__(name="router-own-call", daemon=True)
        self.attempt = attempt
        self.sent_s = time.monotonic()
        self._failure_of = failure_of
        self._request = request
        self._reporting = threading.Lock()

    def run(self) -> None:
        """Make the call, and report how it ended."""
        response = self._request.exec()
        latency_ms = (time.monotonic() - self.sent_s) * 1e3
        failure = self._failure_of(response)
        with self._reporting:
            if failure is None:
                self.attempt.succeeded(latency_ms)
            else:
                self.attempt.failed(*failure)

    def is_overdue_after(self, bound_ms: float) -> bool:
        """Wait until it has ended; return whether it is overdue because it has not within a time."""
        self.join(None if bound_ms == math.inf else bound_ms / 1e3)
        with self._reporting:
            is_overdue = self.attempt.is_open
            if is_overdue:
                self.attempt.overdue(bound_ms)
            return is_overdue
