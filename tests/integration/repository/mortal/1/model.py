"""Answers its input, but kills its process on a magic value; does not load while its folder has `broken`."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import os
import signal
from pathlib import Path

import triton_python_backend_utils as pb_utils

MAGIC = 666


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        if Path(args["model_repository"], "broken").exists():
            raise RuntimeError("no memory")

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        values = request.inputs()[0].as_numpy()
        if values.flat[0] == MAGIC:
            os.kill(os.getpid(), signal.SIGKILL)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", values)])
