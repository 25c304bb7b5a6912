"""Answers its input, of any type, without reading it."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack("OUTPUT", request.inputs()[0])])
            for request in requests
        ]
