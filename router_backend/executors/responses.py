"""Converts the errors of executors to Triton's responses."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import triton_python_backend_utils as pb_utils

from router_backend.errors import RouterError

CODES = {"INVALID_ARGUMENT": "INVALID_ARG", "UNAVAILABLE": "UNAVAILABLE", "UNIMPLEMENTED": "UNSUPPORTED"}
"""Triton's code for a gRPC status; INTERNAL for each other one."""


def error_response(error: RouterError) -> pb_utils.InferenceResponse:
    """Return an error response with Triton's code for the kind of error.

    The text states the code as well, since Triton before 25.04 does not pass a code on to a router.
    """
    code = CODES.get(error.status)
    if code is None:
        internal = pb_utils.TritonError(str(error), pb_utils.TritonError.INTERNAL)
        return pb_utils.InferenceResponse(error=internal)
    stated = pb_utils.TritonError(f"{code}: {error}", getattr(pb_utils.TritonError, code))
    return pb_utils.InferenceResponse(error=stated)
