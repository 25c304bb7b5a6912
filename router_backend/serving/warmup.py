"""Measures each variant when it becomes ready, so that the router need not learn from clients' requests."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

import triton_python_backend_utils as pb_utils

from router_backend.config.load import RouterSetup
from router_backend.config.repository import TensorSpec
from router_backend.core.records.variant import Variant
from router_backend.core.router import ModelRouter
from router_backend.errors import RouterError
from router_backend.runtime.error_classifier import ErrorClassifier
from router_backend.runtime.request_options import ParameterValue, read_options
from router_backend.serving.responses import failure_of, log_defect
from router_backend.serving.tensors import context_of, in_numpy, resized, synthetic_inputs


class Example(NamedTuple):
    """What a client's request sends to a variant."""

    inputs: Sequence[pb_utils.Tensor]
    parameters: dict[str, ParameterValue]


class Warmup:
    """Sends each variant a few batches, one variant after the other, while no request is in flight there.

    The first call is not recorded, since it includes the variant's initialization. The batches are zeros.
    Synthetic strings and open dimensions would not be representative: a model that has them waits for a
    client's request and sends the items of that. A busy variant is not sent any: it learns from its requests.

    Attributes:
        wants_example: whether a client's request is needed; every request asks this.
    """

    MAX_ELEMENTS = 2**22  # of a request that is kept for the length of a warm-up
    IDLE_WITHIN_S = 1.0
    PAUSE_S = 0.01

    def __init__(self, model: RouterSetup, router: ModelRouter, errors: ErrorClassifier) -> None:
        self._model = model
        self._router = router
        self._batched = model.signature.max_batch_size > 0
        self._output_names = [output.name for output in model.signature.outputs]
        self._variants = {variant.name: variant for variant in model.variants}
        self._batch_sizes = model.parameters.warmup_batch_sizes
        self._errors = errors
        self._needs_example = not all(map(_can_be_synthesized, model.signature.inputs))
        self._example: Example | None = None
        self.wants_example = False
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """Whether there are variants to measure, and something to send them."""
        return bool(self._waiting) and (self._example is not None or not self._needs_example)

    def add(self, variant: str) -> None:
        """Queue a variant for the next `run`, unless it is known.

        Fewer answers than a warm-up has may all include the variant's initialization.
        """
        state = self._router.model(self._model.name).state(variant)
        if state.answers < len(self._batch_sizes):
            self._waiting.append(variant)
            self.wants_example = self._needs_example

    def offer(self, request: pb_utils.InferenceRequest) -> None:
        """Keep a client's request for the next `run`; if it is too large, there is none."""
        if not self._lock.acquire(blocking=False):
            return  # a warm-up runs
        try:
            self.wants_example = False
            if sum(prod(tensor.shape()) for tensor in request.inputs()) > self.MAX_ELEMENTS:
                self._waiting.clear()
            elif self._waiting:
                parameters = read_options(request.parameters(), self._variants).forwarded
                self._example = Example(request.inputs(), parameters)
        finally:
            self._lock.release()

    def run(self) -> None:
        """Measure the queued variants."""
        with self._lock:
            while self.waiting:
                self._measure_or_warn(self._waiting.popleft())
            self._example = None

    def _measure_or_warn(self, name: str) -> None:
        try:
            self._measure(self._variants[name])
        except RouterError as error:
            pb_utils.Logger.log_warn(f"router '{self._model.name}': warm-up of '{name}' ended: {error}")
        except Exception as defect:  # noqa: BLE001 - a policy that cannot score must not end this thread
            log_defect(defect)

    def _measure(self, variant: Variant) -> None:
        for position, batch_size in enumerate(self._batch_sizes[:1] + self._batch_sizes):
            if not self._becomes_idle(variant):
                return
            self._call(variant, min(batch_size, variant.max_batch_size or 1), recorded=position > 0)

    def _becomes_idle(self, variant: Variant) -> bool:
        """Wait for a moment without requests in flight at a variant; return whether there was one."""
        load = self._router.model(self._model.name).state(variant.name).load
        until_s = time.monotonic() + self.IDLE_WITHIN_S
        while load.in_flight and time.monotonic() < until_s:
            time.sleep(self.PAUSE_S)
        return not load.in_flight

    def _call(self, variant: Variant, batch_size: int, *, recorded: bool) -> None:
        """Send one batch to the variant.

        Raises:
            NoVariantError: the variant cannot take requests now.
            InvalidRequestError: the variant rejected it.
            VariantsFailedError: the variant failed.
        """
        inputs, parameters = self._batch(batch_size)
        context = replace(  # served even if late: a variant that is too slow must be measured, too
            context_of(inputs, self._batched),
            allowed_variants=frozenset({variant.name}),
            refuse_late=False,
            warmup=True,
        )
        for attempt in self._router.dispatch(self._model.name, context):
            sent_s = time.monotonic()
            response = pb_utils.InferenceRequest(
                model_name=variant.name,
                inputs=inputs,
                requested_output_names=self._output_names,
                parameters=parameters,
            ).exec()
            latency_ms = (time.monotonic() - sent_s) * 1e3
            failure = failure_of(response, variant.name, self._errors)
            if failure is not None:
                attempt.failed(*failure)
            elif recorded:
                attempt.succeeded(latency_ms)
            else:
                attempt.ignored()

    def _batch(self, batch_size: int) -> Example:
        """Return what to send: zeros, or the request that was kept, with its items in turn where possible."""
        example = self._example
        if example is None:
            return Example(synthetic_inputs(self._model.signature, batch_size), {})
        if self._batched and in_numpy(self._model.signature):
            return example._replace(inputs=resized(example.inputs, batch_size))
        return example


def _can_be_synthesized(tensor: TensorSpec) -> bool:
    return tensor.data_type not in ("TYPE_STRING", "TYPE_BF16") and min(tensor.dims, default=1) > 0
