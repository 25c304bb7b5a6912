import json
from pathlib import Path
from typing import Any

import pytest

from router_backend.core.records.outcome import Fault, Refusal
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_tools.errors import ToolError
from router_tools.simulator.schema.trace import CandidateLine, FailureLine
from router_tools.simulator.trace import TracedRequest, read_trace

REQUEST = {
    "arrival_s": 1.0,
    "batch_size": 2,
    "elements": 300,
    "variant": "gpu",
    "device": "gpu",
    "propensity": 0.5,
    "latency_ms": 4.0,
    "service_ms": 3.0,
}
"""What a router of version 0.1.0 wrote, and the service time."""
NEW = {
    "goal": "minimize_power",
    "deadline_ms": 50.0,
    "policy": "p2c",
    "experiment": "v2",
    "arm": "treatment",
    "queued_ms": 0.25,
    "candidates": [{"variant": "gpu", "concurrency": 2, "wait_ms": 1.0, "service_ms": 3.5}],
    "failures": [{"variant": "cpu", "fault": "dead"}],
}
REFUSED = {"arrival_s": 3.0, "batch_size": 1, "refusal": "deadline"}


def write(folder: Path, *entries: dict[str, Any] | str) -> Path:
    path = folder / "trace.jsonl"
    path.write_text("\n".join(e if isinstance(e, str) else json.dumps(e) for e in entries))
    return path


def test_every_field_is_read(tmp_path: Path) -> None:
    first, second, third = read_trace(
        write(tmp_path, REQUEST, REQUEST | NEW | {"arrival_s": 2.0, "variant": "gpu"}, REFUSED)
    )
    assert first == TracedRequest(
        1.0, 2, 300, variant="gpu", device=Device.GPU, propensity=0.5, latency_ms=4.0, service_ms=3.0
    )
    assert first.elements_per_item == 150
    assert (second.goal, second.deadline_ms) == (OptimizationGoal.MINIMIZE_POWER, 50.0)
    assert (second.policy, second.experiment, second.arm) == ("p2c", "v2", "treatment")
    assert second.queued_ms == 0.25
    assert second.candidates == (CandidateLine(variant="gpu", concurrency=2, wait_ms=1.0, service_ms=3.5),)
    assert second.failures == (FailureLine(variant="cpu", fault=Fault.DEAD),)
    assert third.refusal is Refusal.DEADLINE


WHOLE = json.dumps(REQUEST | NEW)


@pytest.mark.parametrize("kept", [1, 5, 12, 40, WHOLE.index("}]") + 1, len(WHOLE) - 1])
def test_a_cut_last_line_is_left_out_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: int
) -> None:
    path = write(tmp_path, REQUEST, REQUEST | {"arrival_s": 2.0}, WHOLE[:kept])
    assert [request.arrival_s for request in read_trace(path)] == [1.0, 2.0]
    assert capsys.readouterr().err == (
        f"warning: {path}: line 3 is cut and left out; a full disk or a killed server leaves such lines\n"
    )


def test_several_cut_lines_are_one_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, REQUEST, WHOLE[:30], REQUEST | {"arrival_s": 2.0}, WHOLE[:50])
    assert len(read_trace(path)) == 2
    assert "2 lines, the first of them 2, are cut and left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "times",
    [
        {"latency_ms": -1},
        {"latency_ms": 0},
        {"latency_ms": float("nan")},
        {"latency_ms": float("inf")},
        {"service_ms": -3.0},
        {"service_ms": 4.1},
        {"queued_ms": -0.1},
    ],
)
def test_impossible_times_cost_only_themselves_and_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], times: dict[str, float]
) -> None:
    path = write(tmp_path, REQUEST, REQUEST | {"arrival_s": 2.0} | times)
    first, second = read_trace(path)
    assert first.latency_ms == 4.0
    assert (second.arrival_s, second.batch_size, second.variant) == (2.0, 2, "gpu")
    assert (second.latency_ms, second.service_ms, second.queued_ms) == (None, None, 0.0)
    assert capsys.readouterr().err == (
        f"warning: {path}: line 2 has impossible times (not above 0, or a service time above the latency), "
        "as of a clock that jumped: the requests count, but not their times\n"
    )


@pytest.mark.parametrize("latency_ms", [1.337, 4.004, 16.384, 1000.001])
def test_a_service_time_that_rounding_puts_above_the_latency_is_possible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], latency_ms: float
) -> None:
    times = {"latency_ms": latency_ms, "service_ms": round(latency_ms + 0.001, 3)}
    _, request = read_trace(write(tmp_path, REQUEST, REQUEST | {"arrival_s": 2.0} | times))
    assert (request.latency_ms, request.service_ms) == (latency_ms, times["service_ms"])
    assert capsys.readouterr().err == ""


def test_lines_may_stand_in_the_order_of_the_answers(tmp_path: Path) -> None:
    path = write(tmp_path, *({"arrival_s": second, "batch_size": 1} for second in (3, 1, 2)), "")
    assert [request.arrival_s for request in read_trace(path)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "{}}",
            "line 2, column 3: expected JSON, found an error: Extra data",
        ),
        (
            "[1]",
            "line 2: expected an object with arrival_s, batch_size, elements, goal, deadline_ms, policy, "
            "experiment, arm, variant, device, propensity, queued_ms, latency_ms, service_ms, candidates, "
            "hedge, failures, refusal, found a list",
        ),
        ({"batch_size": 1}, "line 2: expected the key 'arrival_s' (a number), found only batch_size; add it"),
        (REQUEST | {"batch_size": 0}, "line 2: batch_size: expected a whole number of at least 1, found 0"),
        (
            REQUEST | {"batch_size": True},
            "line 2: batch_size: expected a whole number of at least 1, found true",
        ),
        (REQUEST | {"latency_ms": "fast"}, "line 2: latency_ms: expected a number above 0, found 'fast'"),
        (
            REQUEST | {"arrival_s": float("-inf")},
            "line 2: arrival_s: expected a number, found -Infinity",
        ),
        (
            '{"arrival_s": 1, "batch_size": ' + "9" * 5000 + "}",
            "line 2: batch_size: expected a whole number of at least 1, found Infinity",
        ),
        ("[" * 100_000, "line 2: expected JSON, found too many nested brackets"),
        (
            '{"arrival_s": 1, "batch_size": 1, "batch_size": 2}',
            "line 2: batch_size: expected every key once, found 'batch_size' twice; remove one",
        ),
        (
            REQUEST | {"batch_size": 2.0},
            "line 2: batch_size: expected a whole number of at least 1, found 2.0",
        ),
        (
            REQUEST | {"propensity": 1.5},
            "line 2: propensity: expected a number above 0 and up to 1, found 1.5",
        ),
        (
            REQUEST | {"propensity": 0},
            "line 2: propensity: expected a number above 0 and up to 1, found 0",
        ),
        (
            REQUEST | {"device": "tpu"},
            "line 2: device: expected one of cpu, gpu, neural_engine, mps, found 'tpu' (did you mean 'gpu'?)",
        ),
    ],
)
def test_an_error_names_file_line_field_and_what_was_expected(
    tmp_path: Path, line: dict[str, Any] | str, message: str
) -> None:
    path = write(tmp_path, REQUEST, line)
    with pytest.raises(ToolError) as caught:
        read_trace(path)
    assert str(caught.value) == f"{path}, {message}"


@pytest.mark.parametrize("entries", [(), (REQUEST,), (REQUEST, REQUEST)])
def test_a_trace_without_two_times_cannot_be_repeated(tmp_path: Path, entries: tuple[Any, ...]) -> None:
    with pytest.raises(ToolError, match="at least two different arrival times, found"):
        read_trace(write(tmp_path, *entries))
