"""Raises, after a delay, on every request or on those with a negative value; answers the others."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self._refuses_everything = parameters["refuses"]["string_value"] == "everything"
        self._message = parameters["message"]["string_value"]
        self._delay_s = (
            float(parameters["delay_ms"]["string_value"]) / 1e3 if "delay_ms" in parameters else 0.0
        )

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        values = request.inputs()[0].as_numpy()
        if self._refuses_everything or values.min() < 0:
            time.sleep(self._delay_s)
            raise ValueError(self._message)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", values)])
