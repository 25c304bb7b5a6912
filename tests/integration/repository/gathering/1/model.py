"""Holds requests with a positive first value until enough of them wait; answers others at once."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self._enough = int(parameters["gather"]["string_value"])
        self._held: list[tuple[pb_utils.InferenceResponseSender, pb_utils.InferenceResponse]] = []

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        for request in requests:
            self._take(request)
        if len(self._held) >= self._enough:
            for sender, response in self._held:
                _send(sender, response)
            self._held.clear()

    def _take(self, request: pb_utils.InferenceRequest) -> None:
        values = request.inputs()[0].as_numpy().copy()
        response = pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", values)])
        if values.flat[0] > 0:
            self._held.append((request.get_response_sender(), response))
        else:
            _send(request.get_response_sender(), response)


def _send(sender: pb_utils.InferenceResponseSender, response: pb_utils.InferenceResponse) -> None:
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
