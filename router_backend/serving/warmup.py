"""Measures each variant when it becomes ready, so that the router need not learn from clients' requests."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
import time
from collections import deque
from dataclasses import replace

import triton_python_backend_utils as pb_utils

from router_backend.config.load import RouterSetup
from router_backend.config.repository import TensorSpec
from router_backend.core.records.variant import Variant
from router_backend.core.router import ModelRouter
from router_backend.errors import RouterError
from router_backend.runtime.error_classifier import ErrorClassifier
from router_backend.serving.measuring import measure
from router_backend.serving.readiness import Readiness
from router_backend.serving.responses import log_defect
from router_backend.serving.tensors import context_of, synthetic_inputs


class Warmup:
    """Sends each variant a few batches of zeros, one variant after the other, while it is idle.

    Synthetic strings and open dimensions would not be representative: a model that has them is measured by
    copies of clients' requests instead. A busy variant is not sent any: it learns from its requests.
    """

    IDLE_WITHIN_S = 1.0
    PAUSE_S = 0.01

    def __init__(
        self, model: RouterSetup, router: ModelRouter, readiness: Readiness, errors: ErrorClassifier
    ) -> None:
        self._model = model
        self._router = router
        self._batched = model.signature.max_batch_size > 0
        self._output_names = [output.name for output in model.signature.outputs]
        self._variants = {variant.name: variant for variant in model.variants}
        self._batch_sizes = model.parameters.warmup_batch_sizes
        self._readiness = readiness
        self._errors = errors
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """Whether there are variants to measure."""
        return bool(self._waiting)

    def add(self, variant: str) -> None:
        """Queue a variant for the next `run`, unless it is known or its inputs cannot be synthesized.

        Fewer answers than a warm-up has may all include the variant's initialization.
        """
        state = self._router.model(self._model.name).state(variant)
        known = state.answers >= len(self._batch_sizes)
        if not known and all(map(_can_be_synthesized, self._model.signature.inputs)):
            self._waiting.append(variant)

    def run(self) -> None:
        """Measure the queued variants."""
        with self._lock:
            while self._waiting:
                self._measure_or_warn(self._waiting.popleft())

    def _measure_or_warn(self, name: str) -> None:
        try:
            self._measure(self._variants[name])
        except RouterError as error:
            pb_utils.Logger.log_warn(f"router '{self._model.name}': warm-up of '{name}' ended: {error}")
        except Exception as defect:  # noqa: BLE001 - a policy that cannot score must not end this thread
            log_defect(defect)

    def _measure(self, variant: Variant) -> None:
        """Send the batches.

        Raises:
            RouterError: the variant cannot take requests now, or failed one.
        """
        for batch_size in self._batch_sizes[:1] + self._batch_sizes:  # the first call is usually slow
            if not self._becomes_idle(variant):
                return
            inputs = synthetic_inputs(self._model.signature, min(batch_size, variant.max_batch_size or 1))
            context = replace(  # served even if late: a variant that is too slow must be measured, too
                context_of(inputs, self._batched),
                allowed_variants=frozenset({variant.name}),
                refuse_late=False,
                warmup=True,
            )
            dispatch = self._router.dispatch(self._model.name, context)
            measure(dispatch, inputs, {}, self._output_names, self._errors, self._readiness)

    def _becomes_idle(self, variant: Variant) -> bool:
        """Wait for a moment without requests in flight at a variant; return whether there was one."""
        load = self._router.model(self._model.name).state(variant.name).load
        until_s = time.monotonic() + self.IDLE_WITHIN_S
        while load.in_flight and time.monotonic() < until_s:
            time.sleep(self.PAUSE_S)
        return not load.in_flight


def _can_be_synthesized(tensor: TensorSpec) -> bool:
    return tensor.data_type not in ("TYPE_STRING", "TYPE_BF16") and min(tensor.dims, default=1) > 0
