"""Fails to load until a file exists, like a variant whose device is missing; answers its input."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
from pathlib import Path

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        gate = Path(json.loads(args["model_config"])["parameters"]["gate"]["string_value"])
        if not gate.exists():
            raise pb_utils.TritonModelException(f"the device is not there: {gate.name}")

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", request.inputs()[0].as_numpy())])
            for request in requests
        ]
