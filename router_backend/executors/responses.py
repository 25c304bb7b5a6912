"""Converts the errors of executors to Triton's responses."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import triton_python_backend_utils as pb_utils

from router_backend.errors import InvalidRequestError, RouterError


def error_response(error: RouterError) -> pb_utils.InferenceResponse:
    """Return an error response with Triton's code for the kind of error.

    The text states INVALID_ARG as well, since Triton before 25.04 does not pass a code on to a router.
    """
    if isinstance(error, InvalidRequestError):
        invalid = pb_utils.TritonError(f"INVALID_ARG: {error}", pb_utils.TritonError.INVALID_ARG)
        return pb_utils.InferenceResponse(error=invalid)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INTERNAL))
