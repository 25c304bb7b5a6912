"""Looks for variants that are not loaded, and measures variants by requests of the router's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from math import prod

from router_backend.config.repository import Signature
from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.errors import DEFECTS, NoVariantError, RouterError
from router_backend.native.server import Server, SyntheticInput
from router_backend.runtime.error_classifier import WRONG_ANSWER, ErrorClassifier
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.router_model import Log, RouterModel
from router_backend.runtime.stuck_calls import StuckCalls
from router_backend.runtime.warmup_plan import WarmupPlan, synthetic_shape

CODES = (
    "UNKNOWN",
    "INTERNAL",
    "NOT_FOUND",
    "INVALID_ARG",
    "UNAVAILABLE",
    "UNSUPPORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    WRONG_ANSWER,
)
"""The codes of Triton's errors, by number, and the router's own for a wrong answer."""
CANCEL = 4
"""The command to cancel a call."""
CANCELED = CODES.index("CANCELLED")
BYTES_OF = {"BOOL": 1, "INT8": 1, "UINT8": 1, "INT16": 2, "UINT16": 2, "FP16": 2, "INT32": 4, "UINT32": 4}
BYTES_OF |= {"FP32": 4, "INT64": 8, "UINT64": 8, "FP64": 8}


class Measurement:
    """A request of the router's own, of which only the variant's profile learns."""

    __slots__ = ("_dispatch", "_errors", "_readiness", "_stuck", "error", "open")

    def __init__(
        self, dispatch: Dispatch, errors: ErrorClassifier, readiness: Readiness, stuck: StuckCalls
    ) -> None:
        self._dispatch = dispatch
        self._stuck = stuck
        self._errors = errors
        self._readiness = readiness
        self.open = True
        self.error: RouterError | None = None

    def answered(self, attempt: Attempt, latency_ms: float) -> None:
        """Record that the variant answered."""
        attempt.succeeded(latency_ms)
        self._ended(attempt)

    def failed(
        self, attempt: Attempt, _latency_ms: float, code: int, message: str, reached: bool, _canceled: bool
    ) -> None:
        """Record that the variant failed."""
        if code == CANCELED:
            attempt.ignored()
        else:
            failure = self._errors.classify_call(attempt.variant, message, CODES[code], reached)
            attempt.failed(*failure)
            self._readiness.failed(attempt.variant, failure.fault)
            try:
                self._dispatch.next_attempt().ignored()
            except RouterError as error:  # it may go to one variant only
                self.error = error
        self._ended(attempt)

    def _ended(self, attempt: Attempt) -> None:
        self.open = False
        self._stuck.ended(attempt.variant, attempt)

    def overdue(self, attempt: Attempt) -> tuple[int]:
        """Record that the variant has not answered in time, and return the command to cancel the call."""
        attempt.overdue(attempt.bound_ms)
        self._readiness.failed(attempt.variant, Fault.OVERDUE)
        self._stuck.add(attempt.variant, attempt)
        self.error = NoVariantError(f"'{attempt.variant}': {attempt.message}")
        self.open = False
        return (CANCEL,)


class OwnRequests:
    """The thread of a router model that looks and measures. It waits for no answer.

    Args:
        pointer: the model on the C side.
        model: the router model.
        readiness: which of its variants are loaded.
        stuck: the requests of the router's own that have not ended in time.
        server: the C side.
        log: Triton's log.
    """

    def __init__(
        self,
        pointer: int,
        model: RouterModel,
        readiness: Readiness,
        stuck: StuckCalls,
        server: Server,
        log: Log,
    ) -> None:
        self._pointer = pointer
        self._name = model.setup.name
        self._signature: Signature = model.setup.signature
        self._interval_s = model.setup.parameters.readiness_interval_ms / 1e3
        self._router: ModelRouter = model.router
        self._errors = model.errors
        self._readiness = readiness
        self._stuck = stuck
        self._server = server
        self._log = log
        self._plan = WarmupPlan(model.setup, model.router)
        self._variant = ""
        self._contexts: Iterator[RoutingContext] = iter(())
        self._measurement: Measurement | None = None
        self._busy_until_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-own-requests", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. A request that is under way is still to be reported."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = WarmupPlan.PAUSE_S
        while not self._ended.wait(pause_s):
            try:
                accepts_requests = self._server.is_ready(self._name) is not None
                if accepts_requests:
                    self._look()
                    self._measure()
            except DEFECTS as defect:  # a policy that cannot score must not end this thread
                self._log.defect(defect)
                self._end_measuring()
            hurries = self._variant or not accepts_requests
            pause_s = WarmupPlan.PAUSE_S if hurries else self._interval_s

    def _look(self) -> None:
        if self._readiness.due():
            for variant in self._readiness.look():
                self._plan.add(variant)

    def _measure(self) -> None:
        """Send the next request to the variant being measured, once it has answered the last and is idle."""
        if not self._variant and self._plan.waiting:
            self._begin_measuring(self._plan.take())
        if not self._variant or (self._measurement is not None and self._measurement.open):
            return
        if self._measurement is not None and self._measurement.error is not None:
            self._warn(self._measurement.error)
            return
        if self._plan.is_idle(self._variant):
            self._send_next()
        elif time.monotonic() > self._busy_until_s:
            self._end_measuring()

    def _send_next(self) -> None:
        context = next(self._contexts, None)
        if context is None:
            self._end_measuring()
            return
        dispatch = self._router.dispatch(self._name, context)
        try:
            attempt = dispatch.next_attempt()
        except RouterError as error:
            self._warn(error)
            return
        self._measurement = Measurement(dispatch, self._errors, self._readiness, self._stuck)
        self._busy_until_s = time.monotonic() + WarmupPlan.IDLE_WITHIN_S
        inputs = synthetic_inputs(self._signature, context.batch_size)
        bound_ms = attempt.bound_ms
        self._server.measure(self._pointer, attempt.variant, self._measurement, attempt, bound_ms, inputs)

    def _begin_measuring(self, variant: str) -> None:
        self._variant = variant
        self._contexts = self._plan.contexts(variant)
        self._measurement = None
        self._busy_until_s = time.monotonic() + WarmupPlan.IDLE_WITHIN_S

    def _end_measuring(self) -> None:
        self._variant = ""
        self._measurement = None

    def _warn(self, error: RouterError) -> None:
        self._log.warn(f"router '{self._name}': warm-up of '{self._variant}' ended: {error}")
        self._end_measuring()


def synthetic_inputs(signature: Signature, batch_size: int) -> list[SyntheticInput]:
    """Return inputs of zeros that Triton accepts for a model without strings."""
    inputs = []
    for tensor in signature.inputs:
        data_type = tensor.data_type.removeprefix("TYPE_")
        shape = synthetic_shape(tensor, signature, batch_size)
        inputs.append((tensor.name, data_type, shape, prod(shape) * BYTES_OF[data_type]))
    return inputs
