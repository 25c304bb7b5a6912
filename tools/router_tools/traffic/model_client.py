"""Client of the demo's models that measures latencies."""

import json
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from router_tools.errors import ToolError

INPUT, OUTPUT, DECISION = "images", "probabilities", "routing_decision"


class ModelClient:
    """A client of the demo's models.

    Args:
        url: host and port of the server's gRPC endpoint.
    """

    def __init__(self, url: str) -> None:
        self._client = grpcclient.InferenceServerClient(url)

    def time_ms(self, model: str, images: npt.NDArray[np.float32]) -> float:
        """Send a request and return its latency in ms.

        Args:
            model: the router or a variant.
            images: the batch, of shape [batch, 3, 224, 224].

        Raises:
            ToolError: the server returned an error.
        """
        inputs, outputs = _input(images), [grpcclient.InferRequestedOutput(OUTPUT)]
        started_s = time.perf_counter()
        self._infer(model, inputs, outputs, {})
        return (time.perf_counter() - started_s) * 1e3

    def explain(self, router: str, images: npt.NDArray[np.float32]) -> dict[str, Any]:
        """Return a router's decision for a batch, without running it.

        Args:
            router: the router model.
            images: the batch, of shape [batch, 3, 224, 224].

        Raises:
            ToolError: the server returned an error.
        """
        outputs = [grpcclient.InferRequestedOutput(DECISION)]
        result = self._infer(router, _input(images), outputs, {"router_dry_run": True})
        decision: dict[str, Any] = json.loads(result.as_numpy(DECISION).item())
        return decision

    def _infer(
        self,
        model: str,
        inputs: list[grpcclient.InferInput],
        outputs: list[grpcclient.InferRequestedOutput],
        parameters: dict[str, bool],
    ) -> grpcclient.InferResult:
        try:
            return self._client.infer(model, inputs, outputs=outputs, parameters=parameters)
        except InferenceServerException as error:
            raise ToolError(f"model '{model}' returned an error: {error}") from error


def _input(images: npt.NDArray[np.float32]) -> list[grpcclient.InferInput]:
    tensor = grpcclient.InferInput(INPUT, images.shape, "FP32")
    tensor.set_data_from_numpy(images)
    return [tensor]
