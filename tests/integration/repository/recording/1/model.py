"""Answers its input, and as JSON everything else in the request."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [pb_utils.InferenceResponse(_outputs(request)) for request in requests]


def _outputs(request: pb_utils.InferenceRequest) -> list[pb_utils.Tensor]:
    values = request.inputs()[0].as_numpy()
    received = {
        "request_id": request.request_id(),
        "correlation_id": request.correlation_id(),
        "parameters": json.loads(request.parameters() or "{}"),
        "timeout_us": request.timeout(),
        "flags": request.flags(),
    }
    rows = np.array([[json.dumps(received).encode()]] * len(values), dtype=np.object_)
    return [pb_utils.Tensor("OUTPUT", values), pb_utils.Tensor("RECEIVED", rows)]
