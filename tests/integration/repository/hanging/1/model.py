"""Answers its input after a delay; while a file exists it hangs, or never answers if that says `silent`."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
import time
from contextlib import suppress
from pathlib import Path

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        self._gate = Path(parameters["gate"])
        self._delay_s = float(parameters.get("delay_ms", "0")) / 1e3
        self._unanswered: list[pb_utils.InferenceResponseSender] = []

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        time.sleep(self._delay_s)
        for request in requests:
            sender = request.get_response_sender()
            if self._is_silent():
                self._unanswered.append(sender)
                continue
            output = pb_utils.Tensor("OUTPUT", request.inputs()[0].as_numpy())
            sender.send(
                pb_utils.InferenceResponse([output]), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
            )

    def _is_silent(self) -> bool:
        with suppress(FileNotFoundError):
            while "silent" not in self._gate.read_text():
                time.sleep(0.01)
            return True
        return False
