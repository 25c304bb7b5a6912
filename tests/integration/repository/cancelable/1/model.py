"""Works on a request with a positive first value until it is canceled; answers others at once."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
import time
from pathlib import Path

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self._busy = Path(parameters["busy"]["string_value"])

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        values = request.inputs()[0].as_numpy().copy()
        if values.flat[0] > 0:
            self._busy.touch()
            while not request.is_cancelled():
                time.sleep(0.005)
            error = pb_utils.TritonError("canceled", pb_utils.TritonError.CANCELLED)
            return pb_utils.InferenceResponse(error=error)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", values)])
