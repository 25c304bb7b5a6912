"""A run on the real server is recorded, and the simulator replays it."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.embedded_triton import EmbeddedTriton
from router_tools.emulation.repository import write_repository
from tests.integration.client import Client, items, until
from tests.unit.router_tools.simulator.builders import three_devices

pytestmark = pytest.mark.integration

REQUESTS = 90
ALWAYS_FULL = Path("/dev/full")


def lines(trace: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trace.read_text().splitlines()]


def told(**service_ms: float | None) -> dict[str, str]:
    return {"emulated_service_ms": json.dumps(service_ms), "router_explain": "true"}


def batch_size_of(number: int) -> int:
    return 1 + number % 8


def state_of(client: Client, model: str) -> str:
    index = client.grpc.get_model_repository_index()
    return str(next(entry.state for entry in index.models if entry.name == model))


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], host_folder: Path) -> EmbeddedTriton:
    routers = {
        "recorded": {"trace_file": str(host_folder / "trace.jsonl"), "policy": "random"},
        "unwritable": {"trace_file": str(host_folder / "nowhere" / "trace.jsonl")},
        "full": {"trace_file": str(ALWAYS_FULL)},
    }
    write_repository(host_folder / "repository", three_devices(), routers, largest_batch=8)
    return triton_server(
        host_folder / "repository", model_control_mode="explicit", extra_arguments=["--load-model=*"]
    )


@pytest.fixture(scope="module")
def decisions(server: EmbeddedTriton) -> list[dict[str, Any]]:
    """The decisions of a run, whose first request fails at one variant."""
    with closing(Client(server)) as client:
        failing = told(gpu_emulated=None, ane_emulated=None, cpu_emulated=5.0)
        answers = [client.ask("recorded", items(1), parameters=failing)]
        parameters = told(gpu_emulated=1.0, ane_emulated=2.0, cpu_emulated=4.0)
        sizes = [batch_size_of(number) for number in range(1, REQUESTS)]
        answers += [client.ask("recorded", items(1, size), parameters=parameters) for size in sizes]
        client.ask("recorded", items(1), parameters={"router_dry_run": "true"})
        only_gpu = told(gpu_emulated=None) | {"router_allowed_variants": "gpu_emulated"}
        client.refusal("recorded", items(1), parameters=only_gpu)
        late = told(gpu_emulated=1.0) | {"router_max_latency_ms": "0.001", "router_refuse_late": "true"}
        client.refusal("recorded", items(1), parameters=late)
        client.grpc.unload_model("recorded")
        until(lambda: state_of(client, "recorded") == "UNAVAILABLE")
    return [json.loads(answer.as_numpy("routing_decision").item()) for answer in answers]


def test_every_answered_request_is_a_line_with_decision_and_observation(
    decisions: list[dict[str, Any]], host_folder: Path
) -> None:
    traced = [line for line in lines(host_folder / "trace.jsonl") if "latency_ms" in line]
    assert len(traced) == REQUESTS, "dry runs and warm-ups are not in it"
    for number, (line, decision) in enumerate(zip(traced, decisions, strict=True)):
        assert {key: line[key] for key in ("variant", "device", "propensity")} == {
            key: decision[key] for key in ("variant", "device", "propensity")
        }
        assert line["latency_ms"] == decision["observed_ms"]
        assert line["batch_size"] == batch_size_of(number)
        assert line["elements"] == 4 * line["batch_size"]
    arrivals = [line["arrival_s"] for line in traced]
    assert arrivals == sorted(arrivals)
    assert traced[0]["variant"] == "cpu_emulated", "the one that answered, not those that failed before"
    assert {each["variant"] for each in traced[0].get("failures", [])} <= {"gpu_emulated", "ane_emulated"}
    assert all(line["policy"] == "random" and len(line["candidates"]) == 3 for line in traced[1:])
    served = [line for line in traced[1:] if "service_ms" in line]
    assert all(0.0 < line["service_ms"] <= line["latency_ms"] for line in served)
    assert len(served) > REQUESTS // 2, "only what is far from the other answers has none"


@pytest.mark.usefixtures("decisions")
def test_requests_without_an_answer_are_lines_with_the_reason(host_folder: Path) -> None:
    failed, refused = (line for line in lines(host_folder / "trace.jsonl") if "latency_ms" not in line)
    assert {each["variant"] for each in failed["failures"]} == {"gpu_emulated"}
    assert (refused["refusal"], refused["deadline_ms"]) == ("deadline", 0.001)
    assert "failures" not in refused


@pytest.mark.parametrize("world", [(), ("--world", "resnet50")], ids=["fitted", "named"])
def test_the_simulator_replays_the_run(
    decisions: list[dict[str, Any]], host_folder: Path, world: tuple[str, ...]
) -> None:
    arguments = ["--trace", str(host_folder / "trace.jsonl"), *world, "--policies", "latency"]
    result = CliRunner().invoke(app, ["simulate", *arguments, "--seeds", "1", "--processes", "1", "--json"])
    assert result.exit_code == 0, result.output
    (case,) = json.loads(result.stdout)["cases"]
    shares = case["policies"]["latency"]["mean"]
    assert case["requests"] == REQUESTS + 2
    if not world:
        used = Counter(decision["variant"] for decision in decisions)
        assert {name.removeprefix("shares.") for name in shares if name.startswith("shares.")} == set(used)


@pytest.mark.usefixtures("decisions")
def test_other_policies_are_estimated_from_the_run(host_folder: Path) -> None:
    """The run is too short for a good estimate, but what the server wrote is enough for one."""
    arguments = ["--trace", str(host_folder / "trace.jsonl"), "--policies", "static:gpu_emulated,latency"]
    result = CliRunner().invoke(app, ["replay", *arguments, "--processes", "1", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["requests"] == REQUESTS + 2
    for found in report["policies"].values():
        assert 0.0 < found["low_ms"] < found["mean_ms"] < found["high_ms"]


def test_a_trace_that_cannot_be_written_is_refused_at_load(server: EmbeddedTriton, host_folder: Path) -> None:
    (model,) = (model for model in server.models() if model.name == "unwritable")
    assert model.state == "UNAVAILABLE"
    path = host_folder / "nowhere" / "trace.jsonl"
    assert "model 'unwritable', config.pbtxt: trace_file: expected a file that can" in model.reason
    assert f"found '{path}' (No such file or directory); name another file" in model.reason


@pytest.mark.skipif(not ALWAYS_FULL.exists(), reason="needs a device that is always full")
def test_a_full_disk_fails_no_request_and_is_logged(server: EmbeddedTriton) -> None:
    with closing(Client(server)) as client:
        for _ in range(3):
            client.ask("full", items(1))
            until(lambda: "the trace /dev/full can no longer be written: No space" in server.log_text())
        client.grpc.unload_model("full")
        until(lambda: "3 requests were left out of the trace /dev/full" in server.log_text())
