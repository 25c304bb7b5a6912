"""A router's configuration is completed from its variants, or refused while other models keep serving."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, decision_of, items
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

TENSORS = """
input { name: "INPUT" data_type: TYPE_FP32 dims: 4 }
output { name: "OUTPUT" data_type: TYPE_FP32 dims: 4 }
"""
DECLARED = f"max_batch_size: 4 {TENSORS}"
STRICT = {"refuses": "negatives", "message": "INVALID_ARG: no negatives", "code": "INVALID_ARG"}
NESTED = f"max_batch_size: 8 {TENSORS} instance_group {{ kind: KIND_CPU }}"
WRONG_TYPE = 'input { name: "INPUT" data_type: TYPE_INT32 dims: 4 }'
WRONG_OUTPUT = 'output { name: "OUT" data_type: TYPE_FP32 dims: 4 }'

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown_parameter": (
        {"variants": "double", "polcy": "latency"},
        "expected a known key, found 'polcy' (did you mean 'policy'?)",
    ),
    "no_variants": ({"variants": ""}, "variants[0].name: expected the name of a model, found ''"),
    "misspelt_variant": (
        {"variants": "doubel"},
        "variants[0]: expected a model with a config.pbtxt in the repository {repository}, "
        "found 'doubel' (did you mean 'double'?)",
    ),
    "variant_twice": ({"variants": "double, double"}, "expected every variant once, found double, double"),
    "itself": (
        {"variants": "double, itself"},
        "expected the models behind the router, found 'itself', the router itself; remove it",
    ),
    "a_path": (
        {"variants": "double, ./double"},
        "variants[1]: expected the plain name of a model, found './double'",
    ),
    "circle": (
        {"variants": "double, round", "declared": NESTED},
        "expected no circular routing, found circle → round → circle",
    ),
    "round": (
        {"variants": "circle, double", "declared": NESTED},
        "expected no circular routing, found round → circle → round",
    ),
    "unknown_policy": (
        {"variants": "double", "policy": "latncy"},
        "expected one of the policies latency",
    ),
    "no_number": (
        {"variants": "double", "worker_threads": "many"},
        "worker_threads: expected a whole number from 1 to 10000, found 'many'",
    ),
    "number_too_small": (
        {"variants": "double", "max_in_flight": 0},
        "max_in_flight: expected a whole number from 1 to 1000000, found 0",
    ),
    "number_too_large": (
        {"variants": "double", "metrics_interval_ms": "9" * 20},
        "metrics_interval_ms: expected a whole number of milliseconds from 1 to 86400000, found '9999",
    ),
    "share_too_large": (
        {"variants": "double", "coverage": "1.5"},
        "coverage: expected a number between 0 and 1, found 1.5",
    ),
    "unknown_device": (
        {"variants": "homeless=gup"},
        "variants[0].device: expected one of cpu, gpu, neural_engine, mps, found 'gup' (did you mean 'gpu'?)",
    ),
    "cached": (
        {"variants": "double", "declared": "response_cache { enable: true }"},
        "response_cache.enable: expected false, since a cache would answer a client with the decision",
    ),
    "warmed_up": (
        {
            "variants": "double",
            "declared": 'model_warmup { name: "zeros" batch_size: 1 inputs { key: "INPUT" value '
            "{ data_type: TYPE_FP32 dims: [ 4 ] zero_data: true } } }",
        },
        "model_warmup: expected none, since Triton would send it before the router can call a variant",
    ),
    "missing_device": (
        {"variants": "homeless"},
        "model 'homeless', config.pbtxt: expected the device that it runs on, found none; add the "
        "parameter 'device'",
    ),
    "other_names": (
        {"variants": "double, renamed"},
        "models 'double' and 'renamed': input 'INPUT': expected TYPE_FP32 [4] as in 'double', found none in "
        "'renamed'",
    ),
    "other_types": (
        {"variants": "double, integers"},
        "input 'INPUT': expected TYPE_FP32 [4] as in 'double', found TYPE_INT32 [4] in 'integers'",
    ),
    "other_dims": (
        {"variants": "double, wide"},
        "input 'INPUT': expected TYPE_FP32 [4] as in 'double', found TYPE_FP32 [5] in 'wide'",
    ),
    "other_batching": (
        {"variants": "double, single"},
        "models 'double' and 'single': max_batch_size: expected both 0 or neither, found 8 and 0",
    ),
    "declares_another_type": (
        {"variants": "double", "declared": WRONG_TYPE},
        "models 'declares_another_type' and 'double': input 'INPUT': expected TYPE_INT32 [4]",
    ),
    "declares_another_output": (
        {"variants": "double", "declared": WRONG_OUTPUT},
        "output 'OUT': expected TYPE_FP32 [4] as in 'declares_another_output', found none",
    ),
    "declares_too_large_a_batch": (
        {"variants": "double", "declared": "max_batch_size: 16"},
        "max_batch_size: expected at most 8, the largest of its variants, found 16; lower it, or leave it "
        "out",
    ),
}
"""Router models that must not load: what is wrong with each, and what the server then says of it."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> ModelRepository:
    repository = ModelRepository(tmp_path_factory.mktemp("configuration"))
    repository.variant("double", "scaling", factor=2)
    repository.variant("large", "scaling", {"max_batch_size: 8": "max_batch_size: 16"})
    repository.variant("homeless", "scaling", device="")
    repository.variant("renamed", "scaling", {"INPUT": "IN"})
    repository.variant("integers", "scaling", {"TYPE_FP32": "TYPE_INT32"})
    repository.variant("wide", "scaling", {"dims: 4": "dims: 5"})
    repository.variant("single", "scaling", {"max_batch_size: 8": "max_batch_size: 0"})
    repository.router("completed", "double, large")
    repository.router("declared", "double, large", DECLARED)
    repository.router("given_device", "homeless=mps")
    repository.variant("strict", "refusing", **STRICT)
    repository.router("inner", "double")
    repository.router("outer", "inner, double", policy="static:inner")
    repository.router("inner_strict", "strict")
    repository.router("outer_strict", "inner_strict, double", policy="static:inner_strict")
    for name, (settings, _) in REFUSED.items():
        repository.router(name, **settings)
    return repository


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository) -> EmbeddedTriton:
    return triton_server(repository.folder)


@pytest.mark.parametrize("router", REFUSED)
def test_an_invalid_configuration_makes_the_router_unavailable_with_the_reason(
    client: Client, repository: ModelRepository, router: str
) -> None:
    index = client.grpc.get_model_repository_index()
    entry = next(model for model in index.models if model.name == router)
    assert entry.state == "UNAVAILABLE"
    sentence = entry.reason.split("\n")[0]
    assert sentence.startswith("Internal: ConfigurationError: model")
    assert REFUSED[router][1].format(repository=repository.folder) in sentence


def test_a_routers_incomplete_configuration_is_completed_from_its_variants(client: Client) -> None:
    config = client.grpc.get_model_config("completed", as_json=True)["config"]
    assert config["max_batch_size"] == 16
    assert [(tensor["name"], tensor["data_type"], tensor["dims"]) for tensor in config["input"]] == [
        ("INPUT", "TYPE_FP32", ["4"])
    ]
    assert [(tensor["name"], tensor["data_type"], tensor["dims"]) for tensor in config["output"]] == [
        ("OUTPUT", "TYPE_FP32", ["4"]),
        ("routing_decision", "TYPE_STRING", ["1"]),
    ]


def test_declarations_of_the_router_are_kept(client: Client) -> None:
    config = client.grpc.get_model_config("declared", as_json=True)["config"]
    assert config["max_batch_size"] == 4
    assert [tensor["name"] for tensor in config["output"]] == ["OUTPUT", "routing_decision"]
    refusal = client.refusal("declared", items(1, batch_size=5))
    assert "'declared'" in refusal.message
    assert "<= 4" in refusal.message


def test_a_device_can_be_given_in_the_list_of_variants(client: Client) -> None:
    assert client.decision("given_device", items(1))["device"] == "mps"


def test_a_router_may_have_a_router_as_a_variant(client: Client) -> None:
    answer = client.ask("outer", items(2), parameters={"router_explain": True})
    assert decision_of(answer)["variant"] == "inner"
    np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), items(4))
    assert np.array_equal(client.output("outer_strict", items(2)), items(2))
    assert client.refusal("outer_strict", items(-1)) == ("INVALID_ARGUMENT", "INVALID_ARG: no negatives")


def test_the_other_models_of_the_server_answer(client: Client) -> None:
    np.testing.assert_array_equal(client.output("double", items(2)), items(4))
    for _ in range(4):
        decision = client.decision("completed", items(2))
        assert decision["variant"] in ("double", "large")


def test_without_auto_complete_a_router_that_declares_nothing_is_refused(
    triton_server: Callable[..., EmbeddedTriton], tmp_path: Path
) -> None:
    repository = ModelRepository(tmp_path)
    repository.variant("double", "scaling", factor=2)
    repository.router("bare", "double")
    repository.router("declared", "double", DECLARED)
    server = triton_server(repository.folder, extra_arguments=["--disable-auto-complete-config"])
    reasons = {model.name: model.reason for model in server.models()}
    reason = reasons["bare"]
    assert (
        "expected input and output, since this Triton does not complete configurations, found none" in reason
    )
    assert "; declare them as 'double' does" in reason
    with closing(Client(server)) as client:
        np.testing.assert_array_equal(client.output("declared", items(2)), items(4))
