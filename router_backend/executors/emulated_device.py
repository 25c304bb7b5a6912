"""Stands in for a device that is not there: its answers are true, the time that it takes for them is made up.

A variant is a folder with a config.pbtxt that says `backend: "python"` and has the law of its service times
among its parameters, and as `1/model.py` a line that imports `TritonPythonModel` from here. It holds one
instance for as long as a request of that size would hold the device, so it queues as a real one does.
"""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
import random
import time
from collections.abc import Sequence

import triton_python_backend_utils as pb_utils

from router_backend.errors import ConfigurationError, InvalidRequestError, RouterError
from router_backend.executors.emulated_law import EmulatedLaw
from router_backend.executors.emulated_request import told_service_ms
from router_backend.executors.emulated_settings import parse_settings
from router_backend.executors.linear_layer import LinearLayer


class TritonPythonModel:
    """One instance of an emulated device."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the law, or refuse to load with one sentence.

        Raises:
            TritonModelException: the parameters or the tensors are not as they must be.
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
            f"'{args['model_instance_name']}' is an emulated device: its answers are computed here, on the "
            f"CPU, and the time that it takes for them is made up"
        )

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer requests when their time is over; those that Triton hands over together are one batch."""
        began_s = time.monotonic()
        batches = [request.inputs()[0].as_numpy() for request in requests]
        try:
            service_ms = self._service_ms(requests, sum(map(len, batches)))
        except RouterError as error:
            return [_refusal(error) for _ in requests]
        outputs = [pb_utils.Tensor(self._layer.output_name, self._layer.run(items)) for items in batches]
        responses = [pb_utils.InferenceResponse([output]) for output in outputs]
        time.sleep(max(0.0, began_s + service_ms / 1e3 - time.monotonic()))
        return responses

    def _service_ms(self, requests: Sequence[pb_utils.InferenceRequest], batch_size: int) -> float:
        """What a request says counts where it is alone; those that are joined take the time of their sum."""
        told_ms = told_service_ms(self._name, requests[0].parameters()) if len(requests) == 1 else None
        return self._law.draw_ms(batch_size) if told_ms is None else told_ms


def _refusal(error: RouterError) -> pb_utils.InferenceResponse:
    invalid = isinstance(error, InvalidRequestError)
    code = pb_utils.TritonError.INVALID_ARG if invalid else pb_utils.TritonError.INTERNAL
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))
