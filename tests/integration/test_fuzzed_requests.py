"""Random requests, many invalid: a router answers where its variant would, and survives the others."""

import random
from collections.abc import Callable

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, items
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

REQUESTS = 400
TIMEOUT_S = 30.0
NAMES = ["INPUT", "INPUT", "INPUT", "", "OTHER", "é\u2028"]
TYPES = ["FP32", "FP32", "FP32", "FP64", "BYTES", "BOOL", "INT8", "", "FP8"]
AXES = [1, 1, 2, 4, 4, 4, 8, 9, 0, -1, 2**31, 2**62]
OUTPUTS = ["OUTPUT", "OUTPUT", "OTHER", "", "routing_decision"]
KEYS = [
    "max_latency_ms",
    "refuse_late",
    "goal",
    "policy",
    "allowed_variants",
    "priority",
    "sticky_key",
    "explain",
]
KEYS += ["dry_run", "report", "max_power_w", "unknown", ""]
VALUES: list[bool | int | float | str] = [True, False, 0, 1, -1, 2**63 - 1, -(2**63)]
VALUES += [0.5, 1e308, float("nan"), float("inf")]
VALUES += ["", "double", "latency", "random", "true", "1e9", "nan", "é\u2028", "x" * 5000]


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("fuzzed"))
    repository.variant("double", "scaling", factor=2)
    repository.router("router", "double")
    return triton_server(repository.folder)


def set_value(parameter: service_pb2.InferParameter, value: bool | int | float | str) -> None:
    for kind, field in ((bool, "bool_param"), (int, "int64_param"), (float, "double_param")):
        if isinstance(value, kind):
            setattr(parameter, field, value)
            return
    parameter.string_param = value


def random_input(rng: random.Random, request: service_pb2.ModelInferRequest) -> None:
    shape = [rng.choice(AXES) for _ in range(rng.choice([0, 1, 2, 2, 2, 2, 3]))]
    request.inputs.add(name=rng.choice(NAMES), datatype=rng.choice(TYPES), shape=shape)
    size = rng.choice([0, 1, 16, 16, 16, 32, 128])
    request.raw_input_contents.append(rng.randbytes(size))


def random_request(seed: int, prefix: str) -> service_pb2.ModelInferRequest:
    """Return a request without a model; the names of its own parameters begin with `prefix`."""
    rng = random.Random(seed)
    request = service_pb2.ModelInferRequest(id=rng.choice(["", "a", "é\u2028", "x" * 1000]))
    if rng.random() < 0.5:  # valid so far
        values = np.full((rng.randint(1, 8), 4), rng.random(), np.float32)
        request.inputs.add(name="INPUT", datatype="FP32", shape=values.shape)
        request.raw_input_contents.append(values.tobytes())
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        random_input(rng, request)
    for _ in range(rng.choice([0, 0, 1, 2])):
        request.outputs.add(name=rng.choice(OUTPUTS[: -1 if prefix == "" else None]))
    for _ in range(rng.choice([0, 0, 1, 3])):
        set_value(request.parameters[prefix + rng.choice(KEYS)], rng.choice(VALUES))
    return request


def answer(client: Client, model: str, request: service_pb2.ModelInferRequest) -> bytes | None:
    """Return the values of a model's outputs; `None` if it answers with an error."""
    request.model_name = model
    try:
        response = client.grpc._client_stub.ModelInfer(request, timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        return None
    return b"".join(response.raw_output_contents)


def test_a_router_answers_a_random_request_exactly_if_its_variant_does(client: Client) -> None:
    answered = 0
    for seed in range(REQUESTS):
        request = random_request(seed, "")
        direct = answer(client, "double", request)
        assert answer(client, "router", request) == direct, f"seed {seed}: {request}"
        answered += direct is not None
    assert answered > REQUESTS / 10


def test_a_router_survives_random_parameters_of_its_own(client: Client) -> None:
    for seed in range(REQUESTS):
        answer(client, "router", random_request(seed, "router_"))
    np.testing.assert_array_equal(client.output("router", items(1)), items(2))
