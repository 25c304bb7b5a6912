"""Emulated devices on the real server: outputs, service times, and errors of invalid configurations."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from router_backend.executors.linear_layer import LinearLayer
from router_tools.embedded_triton import EmbeddedTriton
from router_tools.emulation.repository import write_repository
from tests.integration.client import Client, items
from tests.unit.router_tools.simulator.builders import three_devices

pytestmark = pytest.mark.integration

VARIANTS = ("gpu_emulated", "ane_emulated", "cpu_emulated")
TENSOR = {"name": "any", "data_type": "TYPE_FP32", "dims": [4]}
WRONG = {
    "no_law": ("base_ms", "bass_ms", "found 'bass_ms' (did you mean 'base_ms'?)"),
    "negative": ('"2.3"', '"-2.3"', "base_ms: expected a number of ms of at least 0, found -2.3"),
    "wrong_type": (
        "TYPE_FP32",
        "TYPE_INT32",
        "input: expected one tensor, TYPE_FP32 with one fixed dimension, found INPUT TYPE_INT32 [4]",
    ),
}


def add_wrong(repository: Path, name: str) -> None:
    """Write a copy of an emulated variant with one mistake in its config.pbtxt."""
    right, wrong, _ = WRONG[name]
    (repository / name / "1").mkdir(parents=True)
    for file in ("config.pbtxt", "1/model.py"):
        text = (repository / "gpu_emulated" / file).read_text()
        (repository / name / file).write_text(text.replace(right, wrong))


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    repository = tmp_path_factory.mktemp("emulated") / "repository"
    write_repository(repository, three_devices(), {"routed": {}}, largest_batch=8)
    for name in WRONG:
        add_wrong(repository, name)
    return triton_server(repository)


def service_times(**service_ms: float | None) -> dict[str, str]:
    return {"emulated_service_ms": json.dumps(service_ms)}


def latency_ms(client: Client, model: str, batch_size: int = 1, **options: dict[str, str]) -> float:
    began_s = time.monotonic()
    client.ask(model, items(1, batch_size), **options)
    return (time.monotonic() - began_s) * 1e3


@pytest.mark.parametrize("model", [*VARIANTS, "routed"])
def test_variants_and_router_return_the_same_real_outputs(client: Client, model: str) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    layer = LinearLayer({"max_batch_size": 1, "input": [TENSOR], "output": [TENSOR]})
    np.testing.assert_allclose(client.output(model, values), values @ layer.weights, rtol=1e-5)


def test_answers_take_at_least_the_mean_service_time(client: Client) -> None:
    # 6 + 7.5 · 8 ms, with noise that stays above four fifths of that.
    assert latency_ms(client, "cpu_emulated", batch_size=8) >= 0.8 * 66.0


def test_answers_take_at_least_the_requested_service_time(client: Client) -> None:
    for service_ms in (60.0, 120.5):
        times = service_times(gpu_emulated=service_ms, ane_emulated=1.0)
        assert latency_ms(client, "gpu_emulated", parameters=times) >= service_ms


def test_the_router_forwards_the_requested_service_time(client: Client) -> None:
    times = service_times(**dict.fromkeys(VARIANTS, 80.0))
    assert latency_ms(client, "routed", parameters=times) >= 80.0


def test_an_instance_serves_one_request_at_a_time(client: Client) -> None:
    began_s = time.monotonic()
    calls = [
        client.submit("ane_emulated", items(1), parameters=service_times(ane_emulated=50.0)) for _ in range(4)
    ]
    for call in calls:
        call.answer.result()
    assert time.monotonic() - began_s >= 0.2


def test_a_variant_fails_on_request_and_the_router_retries_another(client: Client) -> None:
    failing = service_times(gpu_emulated=None, ane_emulated=None, cpu_emulated=1.0)
    refusal = client.refusal("gpu_emulated", items(1), parameters=failing)
    assert refusal.status == "INTERNAL"
    assert "'gpu_emulated' failed, because the request asks for it" in refusal.message
    parameters = {**failing, "router_explain": "true"}
    answer = client.ask("routed", items(1), parameters=parameters)
    assert json.loads(answer.as_numpy("routing_decision").item())["variant"] == "cpu_emulated"


def test_an_invalid_service_time_is_refused_with_what_was_expected(client: Client) -> None:
    refusal = client.refusal("gpu_emulated", items(1), parameters=service_times(ane_emulated=1.0))
    assert refusal.status == "INVALID_ARGUMENT"
    assert "request parameters: emulated_service_ms: expected text, a JSON object" in refusal.message
    assert "with 'gpu_emulated' among them" in refusal.message


@pytest.mark.parametrize("name", WRONG)
def test_an_invalid_configuration_is_refused_at_load(server: EmbeddedTriton, name: str) -> None:
    (model,) = (model for model in server.models() if model.name == name)
    assert model.state == "UNAVAILABLE"
    assert f"model '{name}': config.pbtxt" in model.reason
    assert WRONG[name][2] in model.reason


def test_each_instance_logs_that_it_is_emulated(server: EmbeddedTriton) -> None:
    for instance in ("gpu_emulated_0_0", "cpu_emulated_0_0", "cpu_emulated_0_1"):
        assert f"'{instance}' is an emulated device: its outputs are computed on the CPU" in server.log_text()
