"""Answers with an error, after a delay, every request or those with certain values; else its input."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
import time

import triton_python_backend_utils as pb_utils

REFUSED = {
    "everything": lambda _: True,
    "negatives": lambda values: values.min() < 0,
    "zeros": lambda values: not all(values.flat),
}


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self._is_refused = REFUSED[parameters["refuses"]["string_value"]]
        self._message = parameters["message"]["string_value"]
        self._code = (
            getattr(pb_utils.TritonError, parameters["code"]["string_value"])
            if "code" in parameters
            else None
        )
        self._delay_s = (
            float(parameters["delay_ms"]["string_value"]) / 1e3 if "delay_ms" in parameters else 0.0
        )

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        values = request.inputs()[0].as_numpy()
        if self._is_refused(values):
            time.sleep(self._delay_s)
            if self._code is None:
                raise ValueError(self._message)
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(self._message, self._code))
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", values)])
