"""A variant that returns its input after `delay_ms`, a parameter of its configuration."""

import json
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Echoes one tensor."""

    def initialize(self, args):
        parameters = json.loads(args["model_config"]).get("parameters", {})
        self.delay_s = float(parameters.get("delay_ms", {"string_value": "0"})["string_value"]) / 1e3

    def execute(self, requests):
        time.sleep(self.delay_s)
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("output", request.inputs()[0].as_numpy())])
            for request in requests
        ]
