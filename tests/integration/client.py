"""A client of a test's server."""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton_grpc
import urllib3
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from router_tools.embedded_triton import EmbeddedTriton

Values = npt.NDArray[Any]
ANSWER_S = 60.0


class Refusal(NamedTuple):
    """An error that the client got."""

    status: str
    message: str


class Call(NamedTuple):
    """A request in flight."""

    answer: Future[triton_grpc.InferResult]
    cancel: Callable[[], None]


class Scrape:
    """The metrics of the endpoint."""

    def __init__(self, server: EmbeddedTriton) -> None:
        self.text = urllib3.request("GET", server.metrics_url).data.decode()

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the series of a metric that have these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def items(value: float, batch_size: int = 1) -> Values:
    """Return a batch for the tests' models, filled with one value."""
    return np.full((batch_size, 4), value, dtype=np.float32)


class Client:
    """Sends requests to models by gRPC.

    Args:
        server: a server that is ready.
    """

    def __init__(self, server: EmbeddedTriton) -> None:
        self.grpc = triton_grpc.InferenceServerClient(server.grpc_url)

    def close(self) -> None:
        self.grpc.close()

    def ask(self, model: str, values: Values, **options: Any) -> triton_grpc.InferResult:
        """Return the model's answer to `values` as its input INPUT."""
        return self.grpc.infer(model, _inputs(values), client_timeout=ANSWER_S, **options)

    def output(self, model: str, values: Values, **options: Any) -> Values:
        """Return the output OUTPUT of the model's answer."""
        return self.ask(model, values, **options).as_numpy("OUTPUT")

    def decision(self, model: str, values: Values, **options: Any) -> dict[str, Any]:
        """Return a router's decision about `values`."""
        return decision_of(self.ask(model, values, parameters={"router_explain": True}, **options))

    def knows(self, model: str, variant: str) -> bool:
        """Return whether a router predicts a variant's latency from measurements, without an execution."""
        asked = {"router_dry_run": True, "router_refuse_late": False}
        decision = decision_of(self.ask(model, items(1), parameters=asked))
        (candidate,) = (each for each in decision["candidates"] if each["variant"] == variant)
        return candidate["basis"] == "measured"

    def refusal(self, model: str, values: Values, **options: Any) -> Refusal:
        """Return the error that the model answers with; fail if there is none."""
        try:
            self.ask(model, values, **options)
        except InferenceServerException as error:
            return refusal_of(error)
        raise AssertionError(f"'{model}' answered, but an error was expected")

    def submit(self, model: str, values: Values, **options: Any) -> Call:
        """Send a request without waiting for its answer."""
        answer: Future[triton_grpc.InferResult] = Future()

        def settle(result: triton_grpc.InferResult | None, error: InferenceServerException | None) -> None:
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        context = self.grpc.async_infer(model, _inputs(values), settle, client_timeout=ANSWER_S, **options)
        return Call(answer, context.cancel)

    def executions(self, model: str) -> int:
        """Return the number of requests that the model has executed."""
        statistics = self.grpc.get_inference_statistics(model)
        return int(statistics.model_stats[0].inference_stats.success.count)

    def expect_executions(self, model: str, count: int) -> None:
        """Check that the model has executed exactly `count` requests; Triton counts one after its answer."""
        until(lambda: self.executions(model) >= count)
        assert self.executions(model) == count


def until(condition: Callable[[], bool], timeout_s: float = ANSWER_S) -> None:
    """Wait until a condition is true; fail after a time limit."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it has not happened in time"
        time.sleep(0.01)


def state_of(client: Client, model: str) -> str:
    """Return the state of a model: READY, UNAVAILABLE, LOADING or UNLOADING."""
    index = client.grpc.get_model_repository_index()
    return str(next(entry.state for entry in index.models if entry.name == model))


def output_names(answer: triton_grpc.InferResult) -> list[str]:
    """Return the names of the outputs of an answer."""
    return [output.name for output in answer.get_response().outputs]


def decision_of(answer: triton_grpc.InferResult) -> dict[str, Any]:
    """Return the router's decision in an answer."""
    decision: dict[str, Any] = json.loads(answer.as_numpy("routing_decision").item())
    return decision


def reasons_out(decision: dict[str, Any]) -> dict[str, str]:
    """Return why variants were rejected, by name."""
    return {
        candidate["variant"]: candidate["reason_out"]
        for candidate in decision["candidates"]
        if candidate["reason_out"] is not None
    }


def refusal_of(error: BaseException | None) -> Refusal:
    """Return the status and the message of an error."""
    assert isinstance(error, InferenceServerException), error
    return Refusal(error.status().removeprefix("StatusCode."), error.message())


def _inputs(values: Values) -> list[triton_grpc.InferInput]:
    tensor = triton_grpc.InferInput("INPUT", values.shape, np_to_triton_dtype(values.dtype))
    return [tensor.set_data_from_numpy(values)]
