"""A router answers as its variants do, by both protocols, for any batch and in both forms."""

from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, decision_of, items, output_names, reasons_out
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

TEXT = {"max_batch_size: 8": "max_batch_size: 0", "TYPE_FP32": "TYPE_STRING", "dims: 4": "dims: -1"}


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("answers"))
    repository.variant("double", "scaling", factor=2)
    repository.variant("triple", "scaling", factor=3, device="gpu")
    repository.variant("small", "scaling", {"max_batch_size: 8": "max_batch_size: 4"}, factor=2)
    repository.variant("repeat", "scaling", TEXT, factor=2)
    repository.variant("recorder", "recording")
    repository.router("scale", "double, triple")
    repository.plain_router("scale_plain", "double, triple")
    repository.router("scale_small", "small, triple")
    repository.router("scale_text", "repeat")
    repository.router("record", "recorder")
    repository.router("certain", "double")
    repository.plain_router("certain_plain", "double")
    repository.ensemble("pipeline", step="certain")
    return triton_server(repository.folder)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("router", ["scale", "scale_plain"])
def test_a_grpc_answer_is_that_of_the_named_variant(client: Client, router: str, batch_size: int) -> None:
    values = np.arange(4 * batch_size, dtype=np.float32).reshape(batch_size, 4)
    for _ in range(3):
        answer = client.ask(router, values, parameters={"router_explain": True})
        variant = decision_of(answer)["variant"]
        assert variant in ("double", "triple")
        np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), client.output(variant, values))


@pytest.mark.parametrize("router", ["certain", "certain_plain"])
def test_an_http_answer_is_that_of_the_variant(server: EmbeddedTriton, router: str) -> None:
    tensor = triton_http.InferInput("INPUT", [2, 4], "FP32")
    tensor.set_data_from_numpy(items(7, batch_size=2))
    with closing(triton_http.InferenceServerClient(server.http_url)) as http:
        answer = http.infer(router, [tensor])
    np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), items(14, batch_size=2))


def test_an_ensemble_can_have_a_router_as_a_step(client: Client) -> None:
    before = triton_grpc.InferInput("BEFORE", [3, 4], "FP32")
    before.set_data_from_numpy(items(5, batch_size=3))
    for _ in range(10):
        answer = client.grpc.infer("pipeline", [before])
        np.testing.assert_array_equal(answer.as_numpy("AFTER"), items(10, batch_size=3))


def test_a_batch_goes_only_to_variants_that_take_it(client: Client) -> None:
    for _ in range(5):
        decision = client.decision("scale_small", items(1, batch_size=5))
        assert decision["variant"] == "triple"
        assert reasons_out(decision) == {"small": "batch 5 is above its maximum 4"}


def test_strings_of_any_length_pass_through_a_model_without_batches(client: Client) -> None:
    for words in (["one"], ["one", "two", "three"]):
        values = np.array([word.encode() for word in words], dtype=np.object_)
        answer = client.output("scale_text", values)
        assert answer.tolist() == [word.encode() * 2 for word in words]


def test_a_client_gets_the_outputs_that_it_names_and_no_others(client: Client) -> None:
    wanted = [triton_grpc.InferRequestedOutput("RECEIVED")]
    assert output_names(client.ask("record", items(1), outputs=wanted)) == ["RECEIVED"]
    assert output_names(client.ask("record", items(1))) == ["OUTPUT", "RECEIVED"]


WRONG_REQUESTS = {
    "shape": (np.zeros((1, 5), np.float32), "INVALID_ARGUMENT", ["INPUT", "[-1,4]", "[1,5]"]),
    "rank": (np.zeros(4, np.float32), "INVALID_ARGUMENT", ["INPUT", "[-1,4]", "[4]"]),
    "type": (np.zeros((1, 4), np.int32), "INVALID_ARGUMENT", ["INPUT", "INT32", "FP32"]),
    "batch": (items(1, batch_size=9), "INVALID_ARGUMENT", ["batch-size", "<= 8"]),
}


@pytest.mark.parametrize("what", WRONG_REQUESTS)
def test_an_invalid_request_is_refused_with_what_and_where(client: Client, what: str) -> None:
    values, status, said = WRONG_REQUESTS[what]
    refusal = client.refusal("certain", values)
    assert refusal.status == status
    assert all(part in refusal.message for part in ["certain", *said]), refusal.message


def test_a_request_for_an_unknown_output_is_refused(client: Client) -> None:
    refusal = client.refusal("certain", items(1), outputs=[triton_grpc.InferRequestedOutput("OUT")])
    assert refusal.status == "INVALID_ARGUMENT"
    assert "unexpected inference output 'OUT' for model 'certain'" in refusal.message
