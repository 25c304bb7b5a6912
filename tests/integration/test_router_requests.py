"""The parts of a request are forwarded to the variant, except for parameters of the router."""

import json
from collections.abc import Callable
from contextlib import closing
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from types import ModuleType
from typing import Any

import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from tests.integration.client import Client, decision_of, items, output_names, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

SEQUENCE_START, SEQUENCE_END = 1, 2


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("requests"))
    repository.variant("recorder", "recording")
    repository.variant("recorder_gpu", "recording", device="gpu")
    repository.router("record", "recorder", warmup_batch_sizes="none")
    repository.variant("double", "scaling", factor=2)
    repository.router("doubled", "double", warmup_batch_sizes="none")
    repository.router("record_either", "recorder, recorder_gpu")
    return triton_server(repository.folder)


def received(answer: triton_grpc.InferResult) -> dict[str, Any]:
    """Return what the variant received, as it reports it."""
    record: dict[str, Any] = json.loads(answer.as_numpy("RECEIVED").flat[0])
    return record


def test_a_request_without_options_reaches_the_variant_without_options(client: Client) -> None:
    assert received(client.ask("record", items(1))) == {
        "request_id": "",
        "correlation_id": 0,
        "parameters": {},
        "timeout_us": 0,
        "flags": 0,
    }


def test_the_request_id_reaches_the_variant(client: Client) -> None:
    assert received(client.ask("record", items(1), request_id="order 66"))["request_id"] == "order 66"


@pytest.mark.parametrize("correlation_id", [42, "conversation"])
def test_the_correlation_id_reaches_the_variant(client: Client, correlation_id: int | str) -> None:
    answer = client.ask("record", items(1), sequence_id=correlation_id)
    assert received(answer)["correlation_id"] == correlation_id


@pytest.mark.parametrize(
    ("start", "end", "flags"),
    [(True, False, SEQUENCE_START), (False, True, SEQUENCE_END), (True, True, SEQUENCE_START | SEQUENCE_END)],
)
def test_the_sequence_flags_reach_the_variant(client: Client, start: bool, end: bool, flags: int) -> None:
    answer = client.ask("record", items(1), sequence_id=42, sequence_start=start, sequence_end=end)
    assert received(answer)["flags"] == flags


def test_the_timeout_reaches_the_variant(client: Client) -> None:
    assert received(client.ask("record", items(1), timeout=1_500_000))["timeout_us"] == 1_500_000


def test_parameters_reach_the_variant_without_those_of_the_router(client: Client) -> None:
    own = {"language": "de", "beams": 4, "greedy": False}
    routers = {"router_explain": True, "router_dry_run": False}
    assert received(client.ask("record", items(1), parameters=own | routers))["parameters"] == own


def test_http_requests_are_forwarded_alike(server: EmbeddedTriton) -> None:
    tensor = triton_http.InferInput("INPUT", [1, 4], "FP32").set_data_from_numpy(items(1))
    with closing(triton_http.InferenceServerClient(server.http_url)) as http:
        answer = http.infer(
            "record",
            [tensor],
            request_id="order 66",
            sequence_id="conversation",
            sequence_end=True,
            timeout=1_500_000,
            parameters={"language": "de"},
        )
    assert received(answer) == {
        "request_id": "order 66",
        "correlation_id": "conversation",
        "parameters": {"language": "de"},
        "timeout_us": 1_500_000,
        "flags": SEQUENCE_END,
    }


def test_an_unknown_parameter_of_the_router_is_refused_with_the_nearest_name(client: Client) -> None:
    refusal = client.refusal("record", items(1), parameters={"router_explian": True})
    assert refusal.status == "INVALID_ARGUMENT"
    assert refusal.message.startswith(
        "request parameters: expected a known key, found 'router_explian' (did you mean 'router_explain'?); "
        "use one of router_max_latency_ms, "
    )


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("latncy", "expected one of the policies latency, "),
        ("static:nobody", "policy 'static': expected 'static:' and one of recorder"),
        ("latency:gpu", "policy 'latency': expected 'latency' alone, found 'latency:gpu'"),
    ],
)
def test_an_invalid_policy_is_refused_like_any_other_parameter(
    client: Client, policy: str, reason: str
) -> None:
    refusal = client.refusal("record", items(1), parameters={"router_policy": policy})
    assert refusal.status == "INVALID_ARGUMENT"
    assert refusal.message.startswith(f"model 'record', request parameter 'router_policy': {reason}")
    assert policy != "latncy" or refusal.message.endswith("found 'latncy' (did you mean 'latency'?)")


@pytest.mark.parametrize("parameter", ["router_policy", "router_goal", "router_allowed_variants", "router_x"])
def test_a_name_of_300_kb_is_refused_in_a_short_sentence(client: Client, parameter: str) -> None:
    refusal = client.refusal("record", items(1), parameters={parameter: "latncy" * 50_000})
    assert refusal.status == "INVALID_ARGUMENT"
    assert len(refusal.message) < 1_500


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), "9" * 5_000, "1e999"])
def test_a_number_of_any_size_is_answered_or_refused(client: Client, value: int | str) -> None:
    for parameter in ("router_priority", "router_max_latency_ms", "router_max_power_w"):
        call = client.submit("record", items(1), parameters={parameter: value})
        error = call.answer.exception()
        assert error is None or "request parameters: " in str(error)


def test_a_request_may_name_its_variants_and_devices(client: Client) -> None:
    for asked in ({"router_allowed_variants": "recorder_gpu"}, {"router_allowed_devices": "gpu"}):
        told = client.ask("record_either", items(1), parameters={"router_explain": True, **asked})
        assert decision_of(told)["variant"] == "recorder_gpu"


def test_a_device_that_the_model_never_has_is_the_clients_error(client: Client) -> None:
    refusal = client.refusal("record_either", items(1), parameters={"router_allowed_devices": "mps"})
    assert refusal.status == "INVALID_ARGUMENT"
    assert refusal.message.startswith("model 'record_either': the request allows none of its variants, ")
    assert "recorder_gpu on gpu" in refusal.message


def test_a_deadline_is_a_parameter_and_no_request_is_too_late_for_best_effort(client: Client) -> None:
    answer = client.ask("record", items(1), parameters={"router_max_latency_ms": 0.000001})
    assert received(answer)["parameters"] == {}


def test_the_report_has_the_state_of_the_devices_and_runs_nothing(client: Client) -> None:
    answer = client.ask("record_either", items(1), parameters={"router_report": True})
    assert output_names(answer) == ["routing_decision"]
    assert set(decision_of(answer)["backends"]) == {"cpu", "gpu"}


def test_a_switch_that_is_neither_true_nor_false_is_refused(client: Client) -> None:
    refusal = client.refusal("record", items(1), parameters={"router_dry_run": "yes"})
    assert refusal == (
        "INVALID_ARGUMENT",
        "request parameters: router_dry_run: expected true or false, found 'yes'",
    )


def test_the_decision_states_the_choice_the_expectation_and_the_outcome(client: Client) -> None:
    devices = {"recorder": "cpu", "recorder_gpu": "gpu"}

    def is_known(variant: str) -> bool:  # on a busy machine, the warm-up may be too irregular to learn from
        client.ask("record_either", items(1), parameters={"router_allowed_variants": variant})
        return client.knows("record_either", variant)

    for variant in devices:
        until(partial(is_known, variant))
    decision = client.decision("record_either", items(1))
    assert decision["device"] == devices[decision["variant"]]
    assert decision["predicted_ms"] > 0
    low_ms, high_ms = decision["interval_ms"]
    assert 0 < low_ms < decision["predicted_ms"] < high_ms
    assert decision["observed_ms"] > 0
    assert 0 <= decision["confidence"] <= 1
    assert {candidate["variant"]: candidate["device"] for candidate in decision["candidates"]} == devices
    for candidate in decision["candidates"]:
        assert 0 < candidate["score"] <= 1
        assert candidate["reason_out"] is None


@pytest.mark.parametrize("asked", [{}, {"router_explain": False}])
@pytest.mark.parametrize("named", [None, ["OUTPUT"], ["OUTPUT", "routing_decision"]])
def test_a_client_that_does_not_ask_for_a_decision_gets_none(
    client: Client, asked: dict[str, bool], named: list[str] | None
) -> None:
    outputs = named and [triton_grpc.InferRequestedOutput(name) for name in named]
    answer = client.ask("record", items(1), outputs=outputs, parameters=asked)
    assert output_names(answer) == (["OUTPUT"] if named else ["OUTPUT", "RECEIVED"])


def test_a_client_that_asks_for_a_decision_and_names_no_outputs_gets_all(client: Client) -> None:
    answer = client.ask("record", items(1), parameters={"router_explain": True})
    assert output_names(answer) == ["OUTPUT", "RECEIVED", "routing_decision"]


def test_a_client_that_asks_for_a_decision_and_names_outputs_gets_those(client: Client) -> None:
    outputs = [triton_grpc.InferRequestedOutput(name) for name in ("OUTPUT", "routing_decision")]
    answer = client.ask("record", items(1), outputs=outputs, parameters={"router_explain": True})
    assert output_names(answer) == ["OUTPUT", "routing_decision"]
    assert decision_of(answer)["variant"] == "recorder"


@pytest.mark.usefixtures("native_host")
@pytest.mark.parametrize("parameter", ["router_explain", "router_dry_run", "router_report"])
def test_a_decision_is_a_response_parameter_as_well(client: Client, parameter: str) -> None:
    outputs = [triton_grpc.InferRequestedOutput("OUTPUT")]
    answer = client.ask("record", items(1), outputs=outputs, parameters={parameter: True})
    assert output_names(answer) == (["OUTPUT"] if parameter == "router_explain" else [])
    decision = json.loads(answer.get_response().parameters["routing_decision"].string_param)
    assert decision["backends"] if parameter == "router_report" else decision["variant"] == "recorder"


@pytest.mark.parametrize("parameters", [b'"\xff":1', b'"\xff":"\xff"', b'"router_explain":true,"\xff":1'])
def test_a_parameter_that_is_not_utf_8_is_ignored_or_refused(
    server: EmbeddedTriton, router_host: RouterHost, parameters: bytes
) -> None:
    tensor = b'{"name":"INPUT","shape":[1,4],"datatype":"FP32","data":[1,1,1,1]}'
    body = b'{"parameters":{%s},"inputs":[%s]}' % (parameters, tensor)
    with closing(HTTPConnection(server.http_url)) as connection:
        for _ in range(3):
            connection.request("POST", "/v2/models/doubled/infer", body)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            if router_host is RouterHost.NATIVE:
                assert (response.status, json.loads(text)["model_name"]) == (HTTPStatus.OK, "doubled")
            else:
                assert response.status == HTTPStatus.BAD_REQUEST
                assert "request parameters: expected UTF-8, found " in text


@pytest.mark.usefixtures("python_host")
@pytest.mark.parametrize("parameter", ["router_explain", "router_dry_run", "router_report"])
@pytest.mark.parametrize("protocol", [triton_grpc, triton_http])
def test_a_client_that_asks_for_a_decision_but_names_only_other_outputs_gets_an_error(
    server: EmbeddedTriton, client: Client, parameter: str, protocol: ModuleType
) -> None:
    executions_before = client.executions("recorder")
    tensor = protocol.InferInput("INPUT", [1, 4], "FP32").set_data_from_numpy(items(1))
    outputs = [protocol.InferRequestedOutput(name) for name in ("RECEIVED", "OUTPUT")]
    url = server.grpc_url if protocol is triton_grpc else server.http_url
    with (
        closing(protocol.InferenceServerClient(url)) as asking,
        pytest.raises(InferenceServerException) as error,
    ):
        asking.infer("record", [tensor], outputs=outputs, parameters={parameter: True})
    assert error.value.status() in ("StatusCode.INVALID_ARGUMENT", "400")
    assert error.value.message() == (
        f"request parameter '{parameter}': expected 'routing_decision' among the requested outputs, "
        "found OUTPUT, RECEIVED: add 'routing_decision' to the requested outputs, or request none by name"
    )
    assert client.executions("recorder") == executions_before


def test_a_dry_run_that_names_the_decision_alone_is_answered(client: Client) -> None:
    outputs = [triton_grpc.InferRequestedOutput("routing_decision")]
    answer = client.ask("record", items(1), outputs=outputs, parameters={"router_dry_run": True})
    assert output_names(answer) == ["routing_decision"]
    assert decision_of(answer)["variant"] == "recorder"


def test_a_dry_run_returns_the_decision_and_the_model_does_not_run(client: Client) -> None:
    executions_before = client.executions("recorder")
    answer = client.ask("record", items(1), parameters={"router_dry_run": True})
    assert output_names(answer) == ["routing_decision"]
    decision = decision_of(answer)
    assert decision["variant"] == "recorder"
    assert decision["observed_ms"] is None
    client.ask("record", items(1))
    client.expect_executions("recorder", executions_before + 1)
