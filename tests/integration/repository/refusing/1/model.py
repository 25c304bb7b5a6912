"""Raises on every request, or on those with a negative value; answers the others with their input."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self._refuses_everything = parameters["refuses"]["string_value"] == "everything"
        self._message = parameters["message"]["string_value"]

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        values = request.inputs()[0].as_numpy()
        if self._refuses_everything or values.min() < 0:
            raise ValueError(self._message)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", values)])
