"""Times each variant when it becomes ready, so that the first clients need not be the experiment."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
import time
from collections import deque
from dataclasses import replace

import triton_python_backend_utils as pb_utils

from router_backend.config.router_model import RouterModel
from router_backend.config.signature import TensorSpec
from router_backend.core.records.variant import Variant
from router_backend.core.router import ModelRouter
from router_backend.errors import NoVariantError, VariantsFailedError
from router_backend.serving.tensors import context_of, made_up_inputs


class Warmup:
    """Sends each variant a few batches of zeros, one variant after the other.

    The first call is not recorded: it pays for what the variant does once. Variable dimensions and
    strings cannot be made up in a way that says anything, so a model that has them learns from its first
    requests instead.

    Args:
        model: the router model.
        router: what learns.
    """

    def __init__(self, model: RouterModel, router: ModelRouter) -> None:
        self._model = model
        self._router = router
        self._batched = model.signature.max_batch_size > 0
        self._output_names = [output.name for output in model.signature.outputs]
        self._variants = {variant.name: variant for variant in model.variants}
        self._batch_sizes = model.parameters.warmup_batch_sizes
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """Whether there are variants to be timed."""
        return bool(self._waiting)

    def add(self, variant: str) -> None:
        """Have a variant timed by the next `run`, unless it is known or its inputs cannot be made up.

        Fewer answers than a warm-up has may all have paid for what the variant does once.
        """
        known = self._router.profile(self._model.name, variant).successes >= len(self._batch_sizes)
        if not known and all(map(_can_be_made_up, self._model.signature.inputs)):
            self._waiting.append(variant)

    def run(self) -> None:
        """Time the variants that wait for it."""
        with self._lock:
            while self._waiting:
                self._time_or_warn(self._waiting.popleft())

    def _time_or_warn(self, name: str) -> None:
        try:
            self._time(self._variants[name])
        except (NoVariantError, VariantsFailedError) as error:
            pb_utils.Logger.log_warn(f"router '{self._model.name}': warm-up of '{name}' ended: {error}")

    def _time(self, variant: Variant) -> None:
        for position, batch_size in enumerate(self._batch_sizes[:1] + self._batch_sizes):
            self._call(variant, min(batch_size, variant.max_batch_size or 1), recorded=position > 0)

    def _call(self, variant: Variant, batch_size: int, *, recorded: bool) -> None:
        """Route one made-up batch to the variant, the others excluded."""
        inputs = made_up_inputs(self._model.signature, batch_size)
        own_alone = frozenset({variant.name})
        context = replace(  # whatever the deadline: a variant that is too slow must be timed to be known
            context_of(inputs, self._batched), allowed_variants=own_alone, refuse_late=False
        )
        decision = self._router.route_request(self._model.name, context)
        started_s = time.monotonic()
        response = pb_utils.InferenceRequest(
            model_name=variant.name, inputs=inputs, requested_output_names=self._output_names
        ).exec()
        latency_ms = (time.monotonic() - started_s) * 1e3
        failed = response.has_error()
        learned_ms = latency_ms if recorded and not failed else None
        self._router.record_execution(decision, latency_ms=learned_ms, counted=False)
        if failed:
            raise VariantsFailedError(response.error().message())


def _can_be_made_up(tensor: TensorSpec) -> bool:
    return tensor.data_type != "TYPE_STRING" and min(tensor.dims, default=1) > 0
