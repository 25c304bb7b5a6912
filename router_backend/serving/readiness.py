"""Keeps the router's view of which variants Triton has loaded."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
import time

import triton_python_backend_utils as pb_utils

from router_backend.config.load import RouterSetup
from router_backend.core.model.recorder import NOT_LOADED
from router_backend.core.records.outcome import Fault
from router_backend.core.router import ModelRouter
from router_backend.runtime.error_classifier import ErrorClassifier


class Readiness:
    """Learns from calls which variants Triton has loaded.

    A variant is out from the first call that says so. At an interval, those that are out are called again,
    without inputs: one that is loaded says that these are missing, and is in again.

    `is_model_ready` would ask the same, but it raises while the server starts or ends, and then (Triton
    24.10, and still in 2026) frees the error's text while this process reads it. That ends this process,
    and the lock in shared memory that it takes along ends the whole server.

    Args:
        model: the router model.
        router: is informed.
        errors: classifies the errors of variants.
    """

    def __init__(self, model: RouterSetup, router: ModelRouter, errors: ErrorClassifier) -> None:
        self._name = model.name
        self._router = router
        self._interval_s = model.parameters.readiness_interval_ms / 1e3
        self._out = {variant.name for variant in model.variants}
        self._errors = errors
        self._next_look_s = 0.0
        self._lock = threading.Lock()

    def missing(self, variant: str) -> None:
        """Look for a variant again at the interval: a call has said that it is not loaded."""
        self._out.add(variant)

    def due(self) -> bool:
        """Whether it is time to look again; once only for each interval."""
        if not self._out:
            return False
        now_s = time.monotonic()
        with self._lock:
            if now_s < self._next_look_s:
                return False
            self._next_look_s = now_s + self._interval_s
            return True

    def look(self) -> list[str]:
        """Call the variants that are out; the names of those that are in now."""
        found = []
        for variant in sorted(self._out):
            if self._is_loaded(variant):
                self._out.discard(variant)
                self._router.model(self._name).set_ready(variant, None)
                found.append(variant)
            else:
                self._router.model(self._name).set_ready(variant, NOT_LOADED)
        return found

    def _is_loaded(self, variant: str) -> bool:
        request = pb_utils.InferenceRequest(model_name=variant, inputs=[], requested_output_names=[])
        response = request.exec()
        if not response.has_error():
            return True
        return self._errors.classify(variant, response.error().message()) is not Fault.NOT_READY
