"""Python's side of the native host: what the C side calls, and the commands that it gets.

The C side calls `start` once, `load` for each router model, `arrived` for each request, and methods of the
objects that it got in commands. A command is a tuple:

- `(FORWARD, variant, listener, attempt, bound_ms, flags, overdue_ms, hedge_ms)`: forward the request, and
  report to `listener` how `attempt` ended. Call `listener.overdue` if it has not ended `overdue_ms` later. If
  there is no answer, call `listener.slow` `hedge_ms` after the request's arrival, and `listener.bound_passed`
  `bound_ms` after it (0: never).
- `(EXPLAIN, text)`: answer with a decision, and nothing else.
- `(REFUSE, code, message)`: answer with an error.
- `(COPY, variant, listener, attempt, overdue_ms)`: send a copy of the answered request, and report how it
  ended or that it is overdue.
- `(CANCEL,)`: cancel the call that is overdue. A request that is forwarded then cancels it, too.
- `(WAIT, ms)`: from `listener.slow`, call it again if there is no answer `ms` after the arrival; from
  `listener.overdue`, call that again if the call has not ended `ms` later.
- `None`: nothing.
"""

from __future__ import annotations

import gc
import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from router_backend.config.completion import complete
from router_backend.config.load import DECISION_OUTPUT, read_router_setup
from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.records.outcome import Fault
from router_backend.errors import DEFECTS, InvalidRequestError, OverloadedError, RouterError, utf8_text
from router_backend.native.own_requests import CANCELED, CODES, Measurement, OwnRequests
from router_backend.native.server import NativeMetrics, Server, log_of
from router_backend.reload import NOT_ALLOWED
from router_backend.runtime.error_classifier import CODE_OF_STATUS, Failure
from router_backend.runtime.expected_answer import ExpectedOutput
from router_backend.runtime.healer import CannotReloadError, Healer, ReloadFailedError, UnloadedError
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.request_options import (
    NO_OPTIONS,
    PREFIX,
    ParameterValue,
    RequestOptions,
    context_of,
    split_parameters,
)
from router_backend.runtime.routed_request import (
    ASK_AGAIN_MS,
    CANCELED_BY_CLIENT,
    Reception,
    RoutedRequest,
)
from router_backend.runtime.router_model import Log, RouterModel
from router_backend.runtime.stuck_calls import StuckCalls

__all__ = ["DECISION_OUTPUT_NAME", "PREFIX", "load", "start"]

FORWARD, EXPLAIN, REFUSE, COPY, _CANCEL, WAIT = range(6)
EXPLAINS, KEEPS_INPUTS, RECORDS_FIRST = 1, 2, 4
CODE_NUMBERS = {code: number for number, code in enumerate(CODES)}
DECISION_OUTPUT_NAME = DECISION_OUTPUT.name

Command: TypeAlias = "tuple[Any, ...] | None"

_server: Server
_metrics: NativeMetrics


def start(server: Server) -> None:
    """Keep what the C side offers."""
    global _server, _metrics
    _server, _metrics = server, NativeMetrics(server)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep Python's lock while another waits: a request must not wait 5 ms, the default."""


def load(
    pointer: int, config_json: str, folder: str, completes: bool
) -> tuple[NativeRouter, bool, str, tuple[ExpectedOutput, ...]]:
    """Return a new router model, whether its requests have a batch, its configuration, and its outputs.

    Args:
        pointer: the model on the C side.
        config_json: its configuration in Triton's JSON form.
        folder: its folder.
        completes: whether Triton takes a completed configuration.

    Raises:
        ConfigurationError: the configuration is invalid.
    """
    config: dict[str, Any] = json.loads(config_json)
    path = Path(folder)
    if completes:
        complete(config, read_router_setup(config, path.parent))
    log = log_of(_server)
    model = RouterModel(config, path, "native", log)
    outputs = model.expected_answer.outputs
    return NativeRouter(pointer, model, log), config["max_batch_size"] > 0, json.dumps(config), outputs


def defect(error: BaseException) -> Command:
    """Log a defect of the router, or of a user's policy, and return the command to answer with it."""
    return refusal(log_of(_server).defect(error))


def refusal(error: RouterError) -> Command:
    """Return the command to answer with an error."""
    return REFUSE, CODE_NUMBERS[CODE_OF_STATUS.get(error.status, error.status)], utf8_text(str(error))


class NativeRouter:
    """A router model that several instances of Triton's may share. Thread-safe."""

    def __init__(self, pointer: int, model: RouterModel, log: Log) -> None:
        self._model = model
        self._log = log
        self._max_in_flight = model.setup.parameters.max_in_flight
        readiness = Readiness(model.setup, model.router, lambda variant: bool(_server.is_ready(variant)))
        self._reception = Reception(model, readiness)
        self._healer = Healer(model.setup, model.router, readiness, self._load_again, log)
        self._stuck = StuckCalls()
        self._own_requests = OwnRequests(pointer, model, readiness, self._stuck, _server, log)

    def start(self, instance_name: str) -> None:
        """Start the threads."""
        gc.collect()
        self._model.start(instance_name, _metrics.series)
        self._own_requests.start()
        self._healer.start()

    def close(self) -> None:
        """End the threads, after the last client's request."""
        self._healer.stop()
        self._own_requests.stop()
        self._model.stop_watching()
        self._model.close()

    def arrived(
        self,
        batch_size: int,
        elements: int,
        in_flight: int,
        timeout_us: int,
        unit: str,
        in_sequence: bool,
        parameters: Mapping[str, ParameterValue] | None,
    ) -> Command:
        """Return what to do with a client's request.

        Args:
            batch_size: the number of items.
            elements: the total number of elements of its inputs.
            in_flight: requests of this model that have arrived and are not released, with this one.
            timeout_us: the client's timeout in microseconds; 0 if there is none.
            unit: its correlation id as text, else its id; empty if it has neither.
            in_sequence: whether it has a correlation id.
            parameters: its parameters; `None` if it has none.
        """
        try:
            arrived_s = time.monotonic()
            if in_flight > self._max_in_flight:
                return self._refuse_overloaded(batch_size, elements, in_flight - 1, arrived_s)
            reception = self._reception
            options = NO_OPTIONS if parameters is None else self._options(parameters)
            if options.report:
                return EXPLAIN, json.dumps(reception.report())
            context = context_of(batch_size, elements, options, unit if reception.unit_matters else "")
            request = ClientRequest(reception, context, options, arrived_s)
            if options.dry_run:
                return EXPLAIN, json.dumps(request.dry_run())
            bound_ms = reception.logical.bound_ms(context) or 0.0
            if timeout_us:
                bound_ms = min(bound_ms or math.inf, timeout_us / 1e3)
            return request.forward(self, bound_ms, in_sequence)
        except DEFECTS as error:  # a client waits for an answer
            return self.refuse(error)

    def refuse(self, error: BaseException) -> Command:
        """Return the command to answer with an error, or with a defect, which is logged."""
        return refusal(error) if isinstance(error, RouterError) else defect(error)

    def copy_of(self, dispatch: Dispatch) -> Command:
        """Return the command to measure a variant by a copy of an answered request, if one should be."""
        copy = dispatch.copy()
        if copy is None:
            return None
        try:
            attempt = copy.next_attempt()
        except RouterError:
            return None
        if not self._stuck.allows(attempt.variant):
            attempt.ignored()
            return None
        measurement = Measurement(copy, self._model.errors, self._reception.readiness, self._stuck)
        return COPY, attempt.variant, measurement, attempt, attempt.bound_ms

    def failure(self, variant: str, code: int, message: str, reached: bool) -> Failure:
        """Return how a variant failed a call that may not have `reached` it."""
        return self._model.errors.classify_call(variant, message, CODES[code], reached)

    def _load_again(self, variant: str, unloads: bool) -> None:
        """Load a variant, unloading it before if `unloads`: loading alone does nothing while it is loaded.

        Raises:
            CannotReloadError: the server does not allow it.
            UnloadedError: it is to be unloaded, but is not loaded.
            ReloadFailedError: it does not load.
        """
        if unloads and not _server.is_ready(variant):
            raise UnloadedError("it is not loaded")
        try:
            if unloads:
                _server.unload_model(variant)
            _server.load_model(variant)
        except RuntimeError as error:
            reason = " ".join(str(error).split())  # Triton's may have several lines
            raise (CannotReloadError if NOT_ALLOWED in reason else ReloadFailedError)(reason) from None

    def _options(self, parameters: Mapping[str, ParameterValue]) -> RequestOptions:
        numbers = [value for value in parameters.values() if isinstance(value, float)]
        is_strict = all(map(math.isfinite, numbers))
        try:
            return split_parameters(parameters, self._reception.variants, is_strict=is_strict)
        except InvalidRequestError:
            self._reception.invalid()
            raise

    def _refuse_overloaded(self, batch_size: int, elements: int, in_flight: int, arrived_s: float) -> Command:
        self._reception.overloaded(context_of(batch_size, elements, NO_OPTIONS), arrived_s)
        return self.refuse(OverloadedError.of(in_flight))


class ClientRequest(RoutedRequest):
    """A client's request: the C side reports to it what happens."""

    __slots__ = ("_bound_ms", "_may_be_copied", "_router")

    def forward(self, router: NativeRouter, bound_ms: float, in_sequence: bool) -> Command:
        """Return the command for its first attempt.

        Args:
            router: the router model.
            bound_ms: how long after its arrival it is refused if no variant has answered; 0 if never.
            in_sequence: whether it belongs to a sequence, of which nothing may be sent twice.

        Raises:
            RouterError: there is no attempt.
        """
        self._router = router
        self._bound_ms = bound_ms
        self.dispatch.repeats = not in_sequence
        attempt = self.next_attempt()
        self._may_be_copied = self._reception.logical.wants_copy and not in_sequence
        flags = self._flags()
        hedge_ms = 0.0 if in_sequence or attempt.hedge_ms == math.inf else attempt.hedge_ms
        if bound_ms or hedge_ms or self._may_be_copied or self._may_go_elsewhere(attempt):
            flags |= KEEPS_INPUTS  # a variant may read the inputs after the client's answer
        return FORWARD, attempt.variant, self, attempt, bound_ms, flags, attempt.bound_ms, hedge_ms

    def explain(self, attempt: Attempt, latency_ms: float) -> str:
        """Return the decision of an attempt that was answered."""
        return json.dumps(self.explanation(attempt, latency_ms))

    def answered(self, attempt: Attempt, latency_ms: float) -> Command:
        """Record that a variant answered; the client has the answer."""
        self.record_answer(attempt, latency_ms)
        if self._may_be_copied:
            return self._router.copy_of(self.dispatch)
        return None

    def failed(
        self, attempt: Attempt, _latency_ms: float, code: int, message: str, reached: bool, canceled: bool
    ) -> Command:
        """Record that a variant failed, and return what to do instead.

        Args:
            attempt: the attempt.
            code: the number of Triton's code for the error.
            message: the error.
            reached: whether the variant is there at all.
            canceled: whether the client has canceled the request.
        """
        try:
            if code == CANCELED and not canceled and self._is_canceled_here(attempt):
                attempt.withdrawn()
            else:
                self.record_failure(attempt, self._router.failure(attempt.variant, code, message, reached))
            if canceled and self.dispatch.wants_attempt:
                self.record_cancellation()
                return REFUSE, CODE_NUMBERS["CANCELLED"], CANCELED_BY_CLIENT
            return self._next()
        except DEFECTS as error:  # a client waits for an answer
            return self._router.refuse(error)

    def overdue(self, attempt: Attempt) -> Command:
        """Record that a variant has not answered in time, and return what to do instead.

        While there is no other variant, this is asked again from time to time: one may be well again.
        """
        try:
            self.record_overdue(attempt, attempt.bound_ms)
            command = self._next()
            if command is None and self.dispatch.wants_attempt:
                return WAIT, ASK_AGAIN_MS
            return command
        except DEFECTS as error:
            return self._router.refuse(error)

    def slow(self) -> Command:
        """Return the command to send a second copy, as there is no answer yet, or to ask again later."""
        try:
            attempt = self.dispatch.send_hedge()
        except DEFECTS as error:  # the first variant may still answer
            defect(error)
            return None
        if attempt is not None:
            return FORWARD, attempt.variant, self, attempt, 0.0, self._flags(), attempt.bound_ms, 0.0
        hedge_ms = self.dispatch.attempts[0].hedge_ms
        return None if hedge_ms == math.inf else (WAIT, hedge_ms)

    def bound_passed(self) -> Command:
        """Return the refusal of a request whose time is up."""
        if self.dispatch.has_ended:
            return None
        return self._router.refuse(self.record_lateness(self._bound_ms))

    def _next(self) -> Command:
        """Return the command for its next attempt, if it needs one.

        Raises:
            RouterError: the request ends without an answer.
        """
        if not self.dispatch.wants_attempt:
            return None
        try:
            attempt = self.next_attempt()
        except RouterError:
            if self.dispatch.has_ended:
                raise
            return None
        return FORWARD, attempt.variant, self, attempt, 0.0, self._flags(), attempt.bound_ms, 0.0

    def _is_canceled_here(self, attempt: Attempt) -> bool:
        """Return whether the C side may have canceled a call: of a hedge, or one that is overdue."""
        return self.dispatch.hedge is not None or attempt.fault is Fault.OVERDUE

    def _may_go_elsewhere(self, attempt: Attempt) -> bool:
        """Return whether another variant may get it while this one works on it."""
        return len(self._reception.variants) > 1 and attempt.bound_ms < math.inf

    def _flags(self) -> int:
        """Return how to treat the answer; where places are limited, a client waits until its own is free."""
        flags = EXPLAINS if self.explains else 0
        return flags | RECORDS_FIRST if self._reception.logical.device_limits else flags
