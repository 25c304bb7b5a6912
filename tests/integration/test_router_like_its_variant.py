"""Clients of a router see what they would see of its variant: errors, types, labels and parameters.

A variant that Triton cannot load or call, or that is new, costs clients nothing.
"""

import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from router_tools.embedded_triton import EmbeddedTriton
from tests.documents import examples
from tests.integration.client import Client, Values, decision_of, items, reasons_out, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

NO_NEGATIVES = {"refuses": "negatives", "message": "INVALID_ARG: no negatives", "code": "INVALID_ARG"}
BUSY = {"refuses": "everything", "message": "UNAVAILABLE: busy", "code": "UNAVAILABLE"}
PRUDISH = {"refuses": "everything", "message": "INVALID_ARG: no", "code": "INVALID_ARG"}
NEGATIVE = ("INVALID_ARGUMENT", "INVALID_ARG: no negatives")
LABELED = {'name: "OUTPUT"': 'label_filename: "labels.txt" name: "OUTPUT"'}
OPEN = {"dims: 4": "dims: -1"}
TEXT = {**OPEN, "TYPE_FP32": "TYPE_STRING"}
OPTIONAL = {
    "TYPE_BF16 dims: 4 }\noutput": "TYPE_FP32 dims: 4 reshape { shape: [ 2, 2 ] } }\n"
    'input { name: "EXTRA" data_type: TYPE_FP32 dims: 4 optional: true }\noutput',
    "TYPE_BF16 dims: 4 }": "TYPE_FP32 dims: 4 reshape { shape: [ 2, 2 ] } }",
}
TWO_INSTANCES = "instance_group [{ kind: KIND_CPU count: 2 }]"
MEASURED = r'model_router_prediction_basis\{basis="measured".*model="twice".*\} 1'
WARMED = {"any_length": ("long", "short"), "any_text": ("prose", "verse")}
DECOUPLED = {"max_batch_size: 8": "max_batch_size: 8 model_transaction_policy { decoupled: true }"}
ANSWERS_WITH_IT = """
class TritonPythonModel:
    def execute(self, requests):
        return [invalid("no negatives, please") for _ in requests]
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> ModelRepository:
    repository = ModelRepository(tmp_path_factory.mktemp("like_its_variant"))
    repository.variant("double", "scaling", factor=2)
    for name, settings in {
        "strict": NO_NEGATIVES,
        "stern": NO_NEGATIVES,
        "busy": BUSY,
        "full": BUSY,
        "prude": PRUDISH,
    }.items():
        repository.variant(name, "refusing", **settings)
    repository.router("exacting", "strict, stern", warmup_batch_sizes="none")  # its calls are counted
    repository.router("half_prudish", "prude, double")
    repository.router("overrun", "busy, full")
    (example,) = examples("python error")
    repository.variant("shown", "scaling")
    (repository.folder / "shown" / "1" / "model.py").write_text(example.text + ANSWERS_WITH_IT)
    repository.router("show", "shown")
    repository.variant("brain", "copying")
    repository.router("think", "brain")
    repository.variant("labeled", "scaling", LABELED)
    (repository.folder / "labeled" / "labels.txt").write_text("cat\ndog\nemu\nfox\n")
    repository.router("classify", "double, labeled")
    repository.variant("recorder", "recording")
    repository.router("record", "recorder")
    repository.variant("streaming", "scaling", DECOUPLED)
    repository.variant("garbled", "scaling", {"max_batch_size: 8": "max_batch_size: eight"})
    repository.router("half_streaming", "streaming, double")
    repository.router("half_garbled", "garbled=gpu, double")
    repository.router("all_streaming", "streaming")
    for router, variants in WARMED.items():
        for name in variants:
            changes = OPEN if router == "any_length" else TEXT
            repository.variant(name, "refusing", changes, refuses="zeros", message="it is empty")
        repository.router(router, ", ".join(variants))
    repository.variant("choosy", "copying", OPTIONAL)
    repository.router("choose", "choosy")
    repository.router("certain", "double")
    repository.router("twice", "long, short", TWO_INSTANCES, metrics_interval_ms="100")
    repository.router("unversioned", "double")
    (repository.folder / "unversioned" / "1").rmdir()
    (repository.folder / "record" / "1" / ".gitkeep").touch()
    return repository


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository) -> EmbeddedTriton:
    return triton_server(repository.folder)


def failures(client: Client, model: str) -> int:
    """Return the number of requests that the model has answered with an error."""
    statistics = client.grpc.get_inference_statistics(model)
    return int(statistics.model_stats[0].inference_stats.fail.count)


def bf16(values: list[float]) -> triton_grpc.InferInput:
    """Return an input of type BF16, whose values are FP32 without the lower half."""
    tensor = triton_grpc.InferInput("INPUT", [1, len(values)], "BF16")
    tensor._raw_content = (np.array(values, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return tensor


class TestErrors:
    def test_an_invalid_request_gets_the_variants_own_error_and_runs_on_no_other(
        self, client: Client
    ) -> None:
        for variant in ("strict", "stern"):
            client.ask("exacting", items(1), parameters={"router_allowed_variants": variant})
            client.expect_executions(variant, 1)
        assert client.refusal("exacting", items(-1)) == NEGATIVE
        client.ask("exacting", items(1), parameters={"router_allowed_variants": "strict"})
        until(lambda: client.executions("strict") + client.executions("stern") >= 4)
        assert client.executions("strict") + client.executions("stern") == 4, "the invalid one ran once"
        assert client.refusal("strict", items(-1)) == NEGATIVE

    def test_the_error_that_is_shown_reaches_the_client(self, client: Client) -> None:
        refusal = client.refusal("show", items(1))
        assert refusal == ("INVALID_ARGUMENT", "INVALID_ARG: no negatives, please")

    def test_a_variant_that_rejects_what_another_one_serves_is_left_out_and_no_client_notices(
        self, client: Client
    ) -> None:
        def left_out() -> bool:
            decision = client.decision("half_prudish", items(1))
            assert decision["variant"] == "double"
            return reasons_out(decision) == {"prude": "breaker open after failures"}

        until(left_out)

    def test_the_status_of_a_request_is_that_of_its_variants(self, client: Client) -> None:
        refusal = client.refusal("overrun", items(1))
        assert refusal.status == client.refusal("busy", items(1)).status == "UNAVAILABLE"
        assert (
            "busy: UNAVAILABLE: busy; " in refusal.message or "full: UNAVAILABLE: busy; " in refusal.message
        )


class TestTypes:
    def test_bf16_tensors_pass_unchanged(self, client: Client) -> None:
        sent = bf16([1.0, -2.5, 3.0, 0.0])
        for _ in range(3):
            answer = client.grpc.infer("think", [sent]).get_response()
            assert answer.outputs[0].datatype == "BF16"
            assert answer.raw_output_contents == [sent._raw_content]
        until(lambda: client.executions("brain") > 3)  # a copy

    def test_a_class_has_the_label_of_the_variants_output(self, client: Client) -> None:
        best = [triton_grpc.InferRequestedOutput("OUTPUT", class_count=1)]
        values = np.array([[0, 1, 7, 2]], np.float32)
        for name in ("labeled", "double"):
            answer = client.ask(
                "classify", values, outputs=best, parameters={"router_allowed_variants": name}
            )
            assert answer.as_numpy("OUTPUT").item().endswith(b":2:emu")

    @pytest.mark.usefixtures("python_host")  # Triton's Python backend passes no fractions from model to model
    def test_a_parameter_with_a_fraction_reaches_the_variant_as_text(self, client: Client) -> None:
        answer = client.ask("record", items(1), parameters={"temperature": 0.5, "beams": 4})
        received = json.loads(answer.as_numpy("RECEIVED").flat[0])["parameters"]
        assert received == {"temperature": "0.5", "beams": 4}


def classes(name: str, count: int) -> list[triton_grpc.InferRequestedOutput]:
    return [triton_grpc.InferRequestedOutput(name, class_count=count)]


SAME: dict[str, tuple[tuple[str, str], Values, dict[str, Any]]] = {
    "answer": (("double", "certain"), items(1, batch_size=8), {}),
    "too large a batch": (("double", "certain"), items(1, batch_size=9), {}),
    "empty batch": (("double", "certain"), items(1, batch_size=0), {}),
    "wrong shape": (("double", "certain"), np.ones((1, 5), np.float32), {}),
    "wrong rank": (("double", "certain"), np.ones(4, np.float32), {}),
    "wrong type": (("double", "certain"), np.ones((1, 4), np.int32), {}),
    "unknown output": (("double", "certain"), items(1), {"outputs": classes("OUT", 0)}),
    "classes": (("double", "certain"), items(1), {"outputs": classes("OUTPUT", 2)}),
    "reserved parameter": (("double", "certain"), items(1), {"parameters": {"triton_x": 1}}),
    "unknown version": (("double", "certain"), items(1), {"model_version": "7"}),
    "optional input left out, and another shape": (("choosy", "choose"), items(1), {}),
}
"""Requests by what they are about: a variant and its router, the input, and what else is asked."""


@pytest.mark.parametrize("what", SAME)
def test_a_router_answers_or_refuses_a_request_as_its_variant_does(client: Client, what: str) -> None:
    (variant, router), values, asked = SAME[what]

    def outcome(model: str) -> object:
        try:
            answer = client.ask(model, values, **asked)
        except InferenceServerException as error:
            return error.status(), error.message().replace(f"'{router}'", f"'{variant}'")
        return [
            (each.name, each.datatype, answer.as_numpy(each.name).tolist())
            for each in answer.get_response().outputs
        ]

    assert outcome(router) == outcome(variant)


class TestLeftOut:
    @pytest.mark.parametrize(
        ("router", "variant", "reason"),
        [
            (
                "half_streaming",
                "streaming",
                "config.pbtxt: model_transaction_policy.decoupled: expected false",
            ),
            ("half_garbled", "garbled", "config.pbtxt: expected a model configuration, found an error: "),
        ],
    )
    def test_a_variant_that_cannot_be_loaded_or_called_is_left_out_with_the_reason(
        self, server: EmbeddedTriton, client: Client, router: str, variant: str, reason: str
    ) -> None:
        decision = client.decision(router, items(1))
        assert decision["variant"] == "double"
        assert decision["failed"] == []
        assert reasons_out(decision)[variant].startswith("left out: ")
        assert reason in reasons_out(decision)[variant]
        log = server.log_text()
        assert f"router '{router}': variant '{variant}' is left out: " in log
        assert f"; once it is corrected, unload and load '{router}', too" in log

    def test_a_router_without_another_variant_does_not_load(self, server: EmbeddedTriton) -> None:
        (reason,) = (model.reason for model in server.models() if model.name == "all_streaming")
        assert "model 'streaming', config.pbtxt: model_transaction_policy.decoupled: expected false" in reason

    def test_triton_says_that_a_router_without_a_version_folder_has_none(
        self, server: EmbeddedTriton
    ) -> None:
        (reason,) = (model.reason for model in server.models() if model.name == "unversioned")
        assert (
            reason == "at least one version must be available under the version policy of model 'unversioned'"
        )


@pytest.mark.parametrize("router", ["any_length", "any_text"])
def test_variants_are_measured_by_copies_of_clients_requests_where_zeros_would_not_do(
    client: Client, router: str
) -> None:
    values = items(1) if router == "any_length" else np.array([[b"a", b"b", b"c", b"d"]], np.object_)
    asked = 0

    def all_are_measured() -> bool:
        nonlocal asked
        asked += 1
        decision = decision_of(client.ask(router, values, parameters={"router_explain": True}))
        return {candidate["basis"] for candidate in decision["candidates"]} == {"measured"}

    until(all_are_measured)
    executions = [client.executions(name) for name in WARMED[router]]
    assert sum(executions) > asked, "copies"
    assert min(executions) >= 2
    assert [failures(client, name) for name in WARMED[router]] == [0, 0], "they refuse empty values"


@pytest.mark.usefixtures("python_host")  # the native host sends itself no requests
def test_each_instance_of_a_router_gets_its_own_request_to_measure_the_variants(
    server: EmbeddedTriton, client: Client
) -> None:
    def measured_by_both() -> bool:
        client.ask("twice", items(1))
        with urllib.request.urlopen(server.metrics_url) as page:
            return len(re.findall(MEASURED, page.read().decode())) == 4

    until(measured_by_both)


@pytest.mark.usefixtures("python_host")
def test_a_client_cannot_send_the_routers_own_request(client: Client) -> None:
    name = "the router's own request"
    np.testing.assert_array_equal(client.output("half_prudish", items(1), request_id=name), items(2))
    executions_before = client.executions("double")
    assert client.ask("half_prudish", items(1), request_id=f"{name} 0").get_response().outputs == []
    client.output("half_prudish", items(1))
    client.expect_executions("double", executions_before + 1)
