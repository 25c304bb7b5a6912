"""A variant that returns its input after the request parameter `delay_ms`, with unlimited concurrency."""

import json
import threading

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Echoes one tensor after a delay."""

    def execute(self, requests):
        for request in requests:
            answer = pb_utils.InferenceResponse([pb_utils.Tensor("output", request.inputs()[0].as_numpy())])
            delay_s = json.loads(request.parameters()).get("delay_ms", 0) / 1e3
            sender = request.get_response_sender()
            threading.Timer(delay_s, send, (sender, answer)).start() if delay_s else send(sender, answer)


def send(sender, answer):
    sender.send(answer, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
