"""A variant whose faults are set by a file: the model code that `model-router chaos` copies.

It answers twice its input after its service time. The file has one word, and is read for each request:
`well`, `hang` (for ever, even if the word changes), `pause` (as long as it says so), `silent` (no answer),
`slow` (ten times its service time), `fail` (an error) or `wrong` (no output).
"""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
import time
from pathlib import Path

import triton_python_backend_utils as pb_utils  # noqa: TID251 - it is copied into a model

LOOK_AGAIN_S = 0.01


class TritonPythonModel:
    """One instance of a variant."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the parameters."""
        parameters = json.loads(args["model_config"])["parameters"]
        self._file = Path(parameters["fault_file"]["string_value"])
        self._service_s = float(parameters["service_ms"]["string_value"]) / 1e3
        self._unanswered: list[pb_utils.InferenceResponseSender] = []

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        """Answer each request, unless a fault keeps it from that."""
        for request in requests:
            self._answer(request, request.get_response_sender())

    def _answer(self, request: pb_utils.InferenceRequest, sender: pb_utils.InferenceResponseSender) -> None:
        fault = self._fault()
        while fault == "hang":
            time.sleep(LOOK_AGAIN_S)
        while fault == "pause":
            time.sleep(LOOK_AGAIN_S)
            fault = self._fault()
        time.sleep(self._service_s * (10 if fault == "slow" else 1))
        if fault == "silent":
            self._unanswered.append(sender)
        else:
            sender.send(_response(request, fault), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _fault(self) -> str:
        try:
            return self._file.read_text().strip()
        except OSError:
            return "well"


def _response(request: pb_utils.InferenceRequest, fault: str) -> pb_utils.InferenceResponse:
    if fault == "fail":
        return pb_utils.InferenceResponse(error=pb_utils.TritonError("it fails on purpose"))
    values = request.inputs()[0].as_numpy()
    outputs = [] if fault == "wrong" else [pb_utils.Tensor("OUTPUT", 2 * values)]
    return pb_utils.InferenceResponse(outputs)
