"""Tracks which variants Triton has loaded."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
import time

import triton_python_backend_utils as pb_utils

from router_backend.config.load import RouterSetup
from router_backend.core.dispatch import Attempt
from router_backend.core.model.recorder import NOT_LOADED
from router_backend.core.records.outcome import Fault
from router_backend.core.router import ModelRouter
from router_backend.runtime.error_classifier import ErrorClassifier
from router_backend.serving.responses import failure_of


class Readiness:
    """Learns from calls which variants Triton has loaded.

    A call that fails because its variant is not loaded marks the variant as missing. At an interval, missing
    variants are called without inputs: one that is loaded reports that the inputs are missing.

    `is_model_ready` would give the same answer, but it raises while the server starts or shuts down, and then
    (Triton 24.10, and still in 2026) frees the error's text while this process reads it. That crashes this
    process while it holds a lock in shared memory, which takes down the whole server.
    """

    def __init__(self, model: RouterSetup, router: ModelRouter, errors: ErrorClassifier) -> None:
        self._name = model.name
        self._router = router
        self._interval_s = model.parameters.readiness_interval_ms / 1e3
        self._missing = {variant.name for variant in model.usable}
        self._errors = errors
        self._next_look_s = 0.0
        self._lock = threading.Lock()

    def is_ready(self) -> bool:
        """Return whether a variant is loaded, as far as is known.

        Variants that are not loaded can only be called during requests, so after an interval without any it
        is not known, and the router has to be sent some to find out.
        """
        states = self._router.model(self._name).states.values()
        is_loaded = any(state.not_ready_reason is None for state in states)
        return is_loaded or time.monotonic() >= self._next_look_s

    def failed(self, attempt: Attempt) -> None:
        """Note that an attempt failed, to look for its variant again if it is not loaded."""
        if attempt.fault is Fault.NOT_READY:
            self._missing.add(attempt.variant)

    def due(self) -> bool:
        """Return whether it is time to call missing variants, at most once per interval."""
        if not self._missing:
            return False
        now_s = time.monotonic()
        with self._lock:
            if now_s < self._next_look_s:
                return False
            self._next_look_s = now_s + self._interval_s
            return True

    def look(self) -> list[str]:
        """Call the missing variants and return the names of those that are loaded now."""
        found = []
        for variant in sorted(self._missing):
            if self._is_loaded(variant):
                self._missing.discard(variant)
                self._router.model(self._name).set_ready(variant, None)
                found.append(variant)
            else:
                self._router.model(self._name).set_ready(variant, NOT_LOADED)
                self._missing.add(variant)  # another thread may just have found it loaded
        return found

    def _is_loaded(self, variant: str) -> bool:
        request = pb_utils.InferenceRequest(model_name=variant, inputs=[], requested_output_names=[])
        failure = failure_of(request.exec(), variant, self._errors)
        return failure is None or failure.fault is not Fault.NOT_READY
