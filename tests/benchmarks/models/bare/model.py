"""A pass-through with the structure of the router (response sender, threads, exec) and no decision."""

import queue
import threading

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Forwards every request to `echo` from a pool of threads."""

    def initialize(self, args):
        self.items = queue.SimpleQueue()
        for _ in range(32):
            threading.Thread(target=self.work, daemon=True).start()

    def execute(self, requests):
        for request in requests:
            self.items.put((request, request.get_response_sender()))

    def work(self):
        while True:
            request, sender = self.items.get()
            answer = pb_utils.InferenceRequest(
                model_name="echo",
                inputs=request.inputs(),
                requested_output_names=list(request.requested_output_names()),
            ).exec()
            if answer.has_error():
                answer = pb_utils.InferenceResponse(error=answer.error())
            else:
                answer = pb_utils.InferenceResponse(output_tensors=answer.output_tensors())
            sender.send(answer, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            del request, sender, answer  # frees the tensors
