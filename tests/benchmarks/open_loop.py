"""Open-loop load on a gRPC endpoint: each request is sent at a fixed time, independent of the others."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton_grpc

from router_tools.emulation.model_config import INPUT, ITEM_ELEMENTS

ANSWER_TIMEOUT_S = 60.0
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TimedRequest:
    """A request and its arrival time.

    Args:
        at_s: when to send it, from the start of the run.
        batch_size: the number of items.
        parameters: its request parameters.
    """

    at_s: float
    batch_size: int
    parameters: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """Results of the requests, in the same order.

    Args:
        latency_ms: from the scheduled time to the answer; NaN if the request failed.
        late_ms: delay of the actual send after the scheduled time.
        errors: the messages of failed requests.
    """

    latency_ms: Array
    late_ms: Array
    errors: list[str]


class OpenLoop:
    """Sends requests to one model.

    Args:
        client: a client of the server.
        model: the name of the model.
    """

    def __init__(self, client: triton_grpc.InferenceServerClient, model: str) -> None:
        self._client = client
        self._model = model

    def run(self, requests: Sequence[TimedRequest]) -> Outcome:
        """Send all requests at their scheduled times and wait for the answers."""
        latency_ms = np.full(len(requests), np.nan)
        late_ms = np.zeros(len(requests))
        errors: list[str] = []
        answered = threading.Semaphore(0)

        def settle(number: int, due_s: float, result: object, error: Exception | None) -> None:
            if error is None:
                latency_ms[number] = (time.perf_counter() - due_s) * 1e3
            else:
                errors.append(str(error))
            answered.release()

        begin_s = time.perf_counter() + 0.1
        for number, request in enumerate(requests):
            due_s = begin_s + request.at_s
            time.sleep(max(0.0, due_s - time.perf_counter()))
            late_ms[number] = (time.perf_counter() - due_s) * 1e3
            self._send(request, partial(settle, number, due_s))
        for _ in requests:
            if not answered.acquire(timeout=ANSWER_TIMEOUT_S):
                raise RuntimeError(f"no answer from '{self._model}' for {ANSWER_TIMEOUT_S:g} s")
        return Outcome(latency_ms, late_ms, errors)

    def run_in_turn(self, requests: Sequence[TimedRequest]) -> Array:
        """Send the requests one after the other and return their latencies in ms."""
        latency_ms = []
        for request in requests:
            began_s = time.perf_counter()
            self._client.infer(self._model, items(request.batch_size), parameters=request.parameters)
            latency_ms.append((time.perf_counter() - began_s) * 1e3)
        return np.array(latency_ms)

    def _send(self, request: TimedRequest, settle: Any) -> None:
        self._client.async_infer(
            self._model, items(request.batch_size), settle, parameters=request.parameters
        )


@cache
def items(batch_size: int) -> list[triton_grpc.InferInput]:
    """Return the input of an emulated variant for a batch of that size."""
    tensor = triton_grpc.InferInput(INPUT, [batch_size, ITEM_ELEMENTS], "FP32")
    return [tensor.set_data_from_numpy(np.zeros((batch_size, ITEM_ELEMENTS), np.float32))]
