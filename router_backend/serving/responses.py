"""Converts the router's results to Triton's responses."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from router_backend.config.load import DECISION_OUTPUT
from router_backend.errors import RouterError, utf8_text
from router_backend.runtime.error_classifier import CODE_OF_STATUS, ErrorClassifier, Failure
from router_backend.runtime.routed_request import CANCELED_BY_CLIENT
from router_backend.runtime.router_model import Log


def error_response(error: RouterError) -> pb_utils.InferenceResponse:
    """Return an error response with Triton's code for the kind of error."""
    code = getattr(pb_utils.TritonError, CODE_OF_STATUS.get(error.status, error.status))
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(utf8_text(str(error)), code))


def failure_of(response: pb_utils.InferenceResponse, variant: str, errors: ErrorClassifier) -> Failure | None:
    """Return how a variant failed a call; `None` if it answered."""
    if not response.has_error():
        return None
    error = response.error()
    return errors.classify(variant, error.message(), error.code().name)


def triton_log() -> Log:
    """Return Triton's log."""
    return Log.to(pb_utils.Logger.log_info, pb_utils.Logger.log_warn, pb_utils.Logger.log_error)


def empty_response() -> pb_utils.InferenceResponse:
    """Return an answer without outputs."""
    return pb_utils.InferenceResponse(output_tensors=[])


def canceled_response() -> pb_utils.InferenceResponse:
    """Return the answer to a request that its client has canceled."""
    error = pb_utils.TritonError(CANCELED_BY_CLIENT, pb_utils.TritonError.CANCELLED)
    return pb_utils.InferenceResponse(error=error)


def has_response_parameters() -> bool:
    """Return whether this Triton supports response parameters (from 25.02 on)."""
    return hasattr(pb_utils.InferenceResponse, "parameters")


def explained_response(
    output_tensors: Sequence[pb_utils.Tensor], explanation: dict[str, Any], batched: bool
) -> pb_utils.InferenceResponse:
    """Return the variant's outputs with the explanation as an output and, if supported, response parameter.

    The output has one element, of shape [1], or [1, 1] in a batched model, even for larger batches.
    """
    text = json.dumps(explanation)
    shape = (1, 1) if batched else (1,)
    array = np.array([text.encode()], dtype=np.object_).reshape(shape)
    tensors = [*output_tensors, pb_utils.Tensor(DECISION_OUTPUT.name, array)]
    if not has_response_parameters():
        return pb_utils.InferenceResponse(output_tensors=tensors)
    return pb_utils.InferenceResponse(output_tensors=tensors, parameters={DECISION_OUTPUT.name: text})


def send(sender: pb_utils.InferenceResponseSender, response: pb_utils.InferenceResponse) -> None:
    """Send the only response of a request."""
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
