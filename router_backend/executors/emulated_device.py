"""Emulated device: computes real outputs in synthetic service times.

A variant is a folder with a config.pbtxt, which contains `backend: "python"` and the parameters of its
service time, and a `1/model.py` that imports `TritonPythonModel` from this module. A request occupies an
instance for its service time, so requests queue as on a real device.
"""

from __future__ import annotations  # Triton's API lacks request types while it completes a configuration

import json
import random
import time
from collections.abc import Sequence

import triton_python_backend_utils as pb_utils

from router_backend.errors import ConfigurationError, RouterError
from router_backend.executors.emulated_law import EmulatedLaw
from router_backend.executors.emulated_request import requested_service_ms
from router_backend.executors.emulated_settings import parse_settings
from router_backend.executors.linear_layer import LinearLayer
from router_backend.executors.responses import error_response


class TritonPythonModel:
    """One instance of an emulated device."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the parameters.

        Raises:
            TritonModelException: the parameters or the tensors are invalid.
        """
        config = json.loads(args["model_config"])
        self._name = args["model_name"]
        texts = {key: entry["string_value"] for key, entry in config["parameters"].items()}
        try:
            settings = parse_settings(texts)
            self._layer = LinearLayer(config)
        except ConfigurationError as error:
            raise pb_utils.TritonModelException(f"model '{self._name}': {error}") from None
        rng = random.Random(f"{settings.seed} {args['model_instance_name']}")
        self._law = EmulatedLaw(settings.points_ms, settings.noise_sigma, rng)
        pb_utils.Logger.log_info(
            f"'{args['model_instance_name']}' is an emulated device: its outputs are computed on the CPU, "
            "and its service times are synthetic"
        )

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer requests after their service time; requests of one call are served as one batch."""
        began_s = time.monotonic()
        batches = [request.inputs()[0].as_numpy() for request in requests]
        try:
            service_ms = self._service_ms(requests, sum(map(len, batches)))
        except RouterError as error:
            return [error_response(error) for _ in requests]
        outputs = [pb_utils.Tensor(self._layer.output_name, self._layer.run(items)) for items in batches]
        responses = [pb_utils.InferenceResponse([output]) for output in outputs]
        time.sleep(max(0.0, began_s + service_ms / 1e3 - time.monotonic()))
        return responses

    def _service_ms(self, requests: Sequence[pb_utils.InferenceRequest], batch_size: int) -> float:
        """Return the time that a single request asks for, else a random one for the size of the batch."""
        if len(requests) == 1:
            requested_ms = requested_service_ms(self._name, requests[0].parameters())
            if requested_ms is not None:
                return requested_ms
        return self._law.draw_ms(batch_size)
