"""Asks Triton whether a variant is loaded."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import triton_python_backend_utils as pb_utils

from router_backend.core.records.outcome import Fault
from router_backend.runtime.error_classifier import ErrorClassifier
from router_backend.serving.responses import failure_of


def is_loaded(variant: str, errors: ErrorClassifier) -> bool:
    """Return whether Triton has loaded a variant, from a call of it without inputs.

    One that is loaded reports that the inputs are missing.

    `is_model_ready` would give the same answer, but it raises while the server starts or shuts down, and then
    (Triton 24.10, and still in 2026) frees the error's text while this process reads it. That crashes this
    process while it holds a lock in shared memory, which takes down the whole server.
    """
    request = pb_utils.InferenceRequest(model_name=variant, inputs=[], requested_output_names=[])
    failure = failure_of(request.exec(), variant, errors)
    return failure is None or failure.fault is not Fault.NOT_READY
