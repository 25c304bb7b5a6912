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
from router_backend.errors import NoVariantError, VariantsFailedError
from router_backend.runtime.error_classifier import ErrorClassifier
from router_backend.serving.responses import log_defect
from router_backend.serving.tensors import context_of, synthetic_inputs


class Warmup:
    """Sends each variant a few batches of zeros, one variant after the other.

    The first call is not recorded, since it includes the variant's initialization. Synthetic strings and
    open dimensions would not be representative: a model that has them learns from its first requests instead.
    """

    def __init__(self, model: RouterSetup, router: ModelRouter, errors: ErrorClassifier) -> None:
        self._model = model
        self._router = router
        self._batched = model.signature.max_batch_size > 0
        self._output_names = [output.name for output in model.signature.outputs]
        self._variants = {variant.name: variant for variant in model.variants}
        self._batch_sizes = model.parameters.warmup_batch_sizes
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
        except (NoVariantError, VariantsFailedError) as error:
            pb_utils.Logger.log_warn(f"router '{self._model.name}': warm-up of '{name}' ended: {error}")
        except Exception as defect:  # noqa: BLE001 - a policy that cannot score must not end this thread
            log_defect(defect)

    def _measure(self, variant: Variant) -> None:
        for position, batch_size in enumerate(self._batch_sizes[:1] + self._batch_sizes):
            self._call(variant, min(batch_size, variant.max_batch_size or 1), recorded=position > 0)

    def _call(self, variant: Variant, batch_size: int, *, recorded: bool) -> None:
        """Send one synthetic batch to the variant.

        Raises:
            NoVariantError: the variant cannot take requests now.
            VariantsFailedError: the variant failed.
        """
        inputs = synthetic_inputs(self._model.signature, batch_size)
        context = replace(  # served even if late: a variant that is too slow must be measured, too
            context_of(inputs, self._batched),
            allowed_variants=frozenset({variant.name}),
            refuse_late=False,
            warmup=True,
        )
        for attempt in self._router.dispatch(self._model.name, context):
            sent_s = time.monotonic()
            response = pb_utils.InferenceRequest(
                model_name=variant.name, inputs=inputs, requested_output_names=self._output_names
            ).exec()
            latency_ms = (time.monotonic() - sent_s) * 1e3
            if response.has_error():
                message = response.error().message()
                attempt.failed(self._errors.classify(variant.name, message), message)
            elif recorded:
                attempt.succeeded(latency_ms)
            else:
                attempt.ignored()


def _can_be_synthesized(tensor: TensorSpec) -> bool:
    return tensor.data_type != "TYPE_STRING" and min(tensor.dims, default=1) > 0
