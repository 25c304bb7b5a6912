"""Answers its inputs times a factor, after a delay."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        self._factor = int(parameters.get("factor", "1"))
        self._delay_s = float(parameters.get("delay_ms", "0")) / 1e3
        self._outputs = [output["name"] for output in config["output"]]

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        time.sleep(self._delay_s)
        return [pb_utils.InferenceResponse(self._scaled(request)) for request in requests]

    def _scaled(self, request: pb_utils.InferenceRequest) -> list[pb_utils.Tensor]:
        return [
            pb_utils.Tensor(name, tensor.as_numpy() * self._factor)
            for name, tensor in zip(self._outputs, request.inputs(), strict=True)
        ]
