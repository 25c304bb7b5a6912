import itertools
import json
import math
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from router_backend.config.load import RouterSetup
from router_backend.config.repository import Signature
from router_backend.config.schema import RouterParameters
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError
from router_backend.runtime.trace_entry import Traced
from router_backend.runtime.trace_writer import TraceWriter, open_trace
from router_tools.simulator.trace import read_trace

BATCH_OF_8 = RoutingContext(batch_size=8, elements=32)


def answered(latency_ms: float, context: RoutingContext = BATCH_OF_8, arrived_s: float = 0.0) -> Traced:
    """Return a request that was sent to the GPU with a probability of one half, half a second after 0."""
    times_s = itertools.count(0.5, 0.001)
    router = ModelRouter(ModelSettings(policy="random"), clock=lambda: next(times_s), rng=random.Random(0))
    router.register_model("m", variants=[Variant("m_cpu", Device.CPU), Variant("m_gpu", Device.GPU)])
    execution = router.dispatch("m", context).next_attempt().succeeded(latency_ms)
    assert execution is not None
    return Traced(context, arrived_s, execution)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread writes when the trace is closed, not before."""
    monkeypatch.setattr(TraceWriter, "INTERVAL_S", threading.TIMEOUT_MAX)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_answered_request_becomes_a_line(tmp_path: Path, warnings: list[str]) -> None:
    trace = TraceWriter(tmp_path / "trace", warnings.append)
    earliest_s = time.time()
    trace.observe(answered(12.34567, arrived_s=time.monotonic()))
    latest_s = time.time()
    trace.observe(answered(1.0, RoutingContext(batch_size=3), time.monotonic() + 1.0))
    trace.close()
    first, second = lines(tmp_path / "trace")
    assert earliest_s - 0.01 <= first.pop("arrival_s") <= latest_s + 0.01
    assert first == {
        "batch_size": 8,
        "elements": 32,
        "policy": "random",
        "variant": "m_gpu",
        "device": "gpu",
        "propensity": 0.5,
        "queued_ms": 0.0,
        "latency_ms": 12.346,
        "service_ms": 12.346,
        "candidates": [
            {"variant": "m_cpu", "concurrency": 1, "wait_ms": 0.0, "service_ms": 2.5, "basis": "guess"},
            {"variant": "m_gpu", "concurrency": 1, "wait_ms": 0.0, "service_ms": 0.5, "basis": "guess"},
        ],
    }
    assert second["batch_size"] == 3
    assert "elements" not in second, "the batch size says enough"
    assert warnings == []


def test_the_simulator_reads_what_was_written(tmp_path: Path, warnings: list[str]) -> None:
    path = tmp_path / "trace"
    trace = TraceWriter(path, warnings.append)
    trace.observe(answered(2.0, arrived_s=10.5))
    trace.observe(answered(1.0, RoutingContext(batch_size=2, elements=0), 10.25))
    trace.close()
    early, late = read_trace(path)
    assert late.arrival_s - early.arrival_s == pytest.approx(0.25, abs=1e-5)
    assert (early.batch_size, early.elements, early.latency_ms) == (2, None, 1.0)
    assert (late.variant, late.device, late.propensity) == ("m_gpu", Device.GPU, 0.5)


def test_an_answer_without_a_plausible_latency_is_not_written(tmp_path: Path, warnings: list[str]) -> None:
    trace = TraceWriter(tmp_path / "trace", warnings.append)
    trace.observe(answered(math.nan))
    trace.close()
    assert lines(tmp_path / "trace") == []
    assert warnings == []


def test_lines_are_written_while_the_router_serves(tmp_path: Path, warnings: list[str]) -> None:
    trace = TraceWriter(tmp_path / "trace", warnings.append)
    trace.observe(answered(1.0))
    deadline_s = time.monotonic() + 60.0
    while not lines(tmp_path / "trace"):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    trace.close()


@pytest.mark.parametrize("kept", [0, 1, 40])
def test_a_run_after_a_cut_line_starts_a_new_one(tmp_path: Path, warnings: list[str], kept: int) -> None:
    path = tmp_path / "trace"
    whole = '{"arrival_s": 1.0, "batch_size": 1, "elements": 4}\n'
    path.write_text(whole + whole[:kept])
    trace = TraceWriter(path, warnings.append)
    for latency_ms in (1.0, 2.0):
        trace.observe(answered(latency_ms))
    trace.close()
    first, *cut, second, third = path.read_text().splitlines()
    assert (first + "\n", cut) == (whole, [whole[:kept]] if kept else [])
    assert [json.loads(line)["latency_ms"] for line in (second, third)] == [1.0, 2.0]


def test_a_run_that_records_nothing_does_not_touch_the_file(tmp_path: Path, warnings: list[str]) -> None:
    path = tmp_path / "trace"
    path.write_text("{")
    TraceWriter(path, warnings.append).close()
    assert path.read_text() == "{"


def test_a_second_run_appends_to_the_file(tmp_path: Path, warnings: list[str]) -> None:
    for latency_ms in (1.0, 2.0):
        trace = TraceWriter(tmp_path / "trace", warnings.append)
        trace.observe(answered(latency_ms))
        trace.close()
    assert [line["latency_ms"] for line in lines(tmp_path / "trace")] == [1.0, 2.0]


@pytest.mark.usefixtures("never_looks")
def test_lines_that_do_not_fit_are_dropped_and_counted(
    tmp_path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TraceWriter, "MOST_WAITING", 3)
    trace = TraceWriter(tmp_path / "trace", warnings.append)
    for number in range(5):
        trace.observe(answered(1.0 + number))
    trace.close()
    assert [line["latency_ms"] for line in lines(tmp_path / "trace")] == [1.0, 2.0, 3.0]
    assert warnings == [f"2 requests were left out of the trace {tmp_path / 'trace'}"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_logged_once_with_the_number_of_lost_lines(warnings: list[str]) -> None:
    trace = TraceWriter(Path("/dev/full"), warnings.append)
    trace.observe(answered(1.0))
    deadline_s = time.monotonic() + 60.0
    while not warnings:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    for _ in range(2):
        trace.observe(answered(1.0))
    trace.close()
    assert warnings == [
        "the trace /dev/full can no longer be written: No space left on device",
        "3 requests were left out of the trace /dev/full",
    ]


def router_model(trace_file: Path | None) -> RouterSetup:
    parameters = RouterParameters(variants=(), trace_file=trace_file)
    return RouterSetup("m", Path(), parameters, (), Signature((), (), 0), None)


def test_without_the_setting_a_router_writes_no_trace(warnings: list[str]) -> None:
    assert open_trace(router_model(None), warnings.append) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nowhere/trace", "No such file or directory"), ("", "Is a directory"), ("pipe", "a pipe")],
)
def test_a_file_that_cannot_be_written_is_refused_with_its_place(
    tmp_path: Path, warnings: list[str], name: str, reason: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name
    threads = threading.active_count()
    with pytest.raises(ConfigurationError) as refused:
        open_trace(router_model(path), warnings.append)
    assert str(refused.value) == (
        "model 'm', config.pbtxt: trace_file: expected a file that can be written, "
        f"found '{path}' ({reason}); name another file"
    )
    assert threading.active_count() == threads
