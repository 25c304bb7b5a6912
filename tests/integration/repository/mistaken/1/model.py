"""Answers its input and a label for each item, with one mistake in its answers."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

Outputs = dict[str, npt.NDArray[Any]]
MISTAKES: dict[str, Callable[[Outputs], Outputs]] = {
    "none": lambda outputs: outputs,
    "no outputs": lambda _: {},
    "no OUTPUT": lambda outputs: {"LABEL": outputs["LABEL"]},
    "no LABEL": lambda outputs: {"OUTPUT": outputs["OUTPUT"]},
    "OUTPUT of integers": lambda outputs: outputs | {"OUTPUT": outputs["OUTPUT"].astype(np.int32)},
    "LABEL of numbers": lambda outputs: outputs | {"LABEL": np.zeros(outputs["LABEL"].shape, np.float32)},
    "OUTPUT with another item": lambda outputs: outputs | {"OUTPUT": np.repeat(outputs["OUTPUT"], 2, axis=0)},
    "OUTPUT twice": lambda outputs: outputs,
    "LABEL without a batch": lambda outputs: outputs | {"LABEL": np.array(b"", np.object_)},
}


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        mistake = config["parameters"]["mistake"]["string_value"]
        self._mistake = MISTAKES[mistake]
        self._first_again = 1 if mistake == "OUTPUT twice" else 0
        self._batched = config["max_batch_size"] > 0

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return [self._answer(request.inputs()[0].as_numpy()) for request in requests]

    def _answer(self, values: npt.NDArray[Any]) -> pb_utils.InferenceResponse:
        labels = np.full((len(values), 1) if self._batched else (1,), b"label", np.object_)
        outputs = self._mistake({"OUTPUT": values, "LABEL": labels})
        tensors = [pb_utils.Tensor(name, array) for name, array in outputs.items()]
        return pb_utils.InferenceResponse(tensors + tensors[: self._first_again])
