import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from router_backend.config.load import RouterSetup
from router_backend.config.repository import Signature
from router_backend.config.schema import RouterParameters
from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError
from router_backend.runtime.trace_writer import TraceWriter, open_trace
from router_tools.simulator.trace import read_trace

BATCH_OF_8 = RoutingContext(batch_size=8, elements=32)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def decision() -> RoutingDecision:
    router = ModelRouter()
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU)])
    return router.route_request("m", RoutingContext())


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread writes when the trace is closed, not before."""
    monkeypatch.setattr(TraceWriter, "INTERVAL_S", threading.TIMEOUT_MAX)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_answered_request_becomes_a_line(
    tmp_path: Path, warnings: list[str], decision: RoutingDecision
) -> None:
    trace = TraceWriter(tmp_path / "trace", warnings.append)
    earliest_s = time.time()
    trace.record(BATCH_OF_8, decision, time.monotonic(), 12.34567)
    latest_s = time.time()
    trace.record(RoutingContext(batch_size=3), decision, time.monotonic() + 1.0, 1.0)
    trace.close()
    first, second = lines(tmp_path / "trace")
    assert earliest_s - 0.01 <= first.pop("arrival_s") <= latest_s + 0.01
    assert first == {
        "batch_size": 8,
        "elements": 32,
        "variant": "m_gpu",
        "device": "gpu",
        "propensity": 1.0,
        "latency_ms": 12.346,
    }
    assert second["batch_size"] == 3
    assert "elements" not in second, "the batch size says enough"
    assert warnings == []


def test_a_line_tells_the_probability_with_which_the_variant_was_drawn(
    tmp_path: Path, warnings: list[str]
) -> None:
    router = ModelRouter(ModelSettings(policy="random"))
    router.register_model("m", variants=[Variant(name, Device.CPU) for name in ("a", "b", "c", "d")])
    trace = TraceWriter(tmp_path / "trace", warnings.append)
    for arrived_s in (1.0, 2.0):
        trace.record(BATCH_OF_8, router.route_request("m", BATCH_OF_8), arrived_s, 1.0)
    trace.close()
    assert [line["propensity"] for line in lines(tmp_path / "trace")] == [0.25, 0.25]
    assert [request.propensity for request in read_trace(tmp_path / "trace")] == [0.25, 0.25]


def test_the_simulator_reads_what_was_written(
    tmp_path: Path, warnings: list[str], decision: RoutingDecision
) -> None:
    path = tmp_path / "trace"
    trace = TraceWriter(path, warnings.append)
    trace.record(BATCH_OF_8, decision, 10.5, 2.0)
    trace.record(RoutingContext(batch_size=2, elements=0), decision, 10.25, 1.0)
    trace.close()
    early, late = read_trace(path)
    assert late.arrival_s - early.arrival_s == pytest.approx(0.25, abs=1e-5)
    assert (early.batch_size, early.elements, early.latency_ms) == (2, None, 1.0)
    assert (late.variant, late.device, late.propensity) == ("m_gpu", Device.GPU, 1.0)


def test_lines_are_written_while_the_router_serves(
    tmp_path: Path, warnings: list[str], decision: RoutingDecision
) -> None:
    trace = TraceWriter(tmp_path / "trace", warnings.append)
    trace.record(BATCH_OF_8, decision, 0.0, 1.0)
    deadline_s = time.monotonic() + 60.0
    while not lines(tmp_path / "trace"):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    trace.close()


def test_a_second_run_appends_to_the_file(
    tmp_path: Path, warnings: list[str], decision: RoutingDecision
) -> None:
    for latency_ms in (1.0, 2.0):
        trace = TraceWriter(tmp_path / "trace", warnings.append)
        trace.record(BATCH_OF_8, decision, 0.0, latency_ms)
        trace.close()
    assert [line["latency_ms"] for line in lines(tmp_path / "trace")] == [1.0, 2.0]


@pytest.mark.usefixtures("never_looks")
def test_what_does_not_fit_is_left_out_and_counted(
    tmp_path: Path, warnings: list[str], decision: RoutingDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TraceWriter, "MOST_WAITING", 3)
    trace = TraceWriter(tmp_path / "trace", warnings.append)
    for number in range(5):
        trace.record(BATCH_OF_8, decision, 0.0, 1.0 + number)
    trace.close()
    assert [line["latency_ms"] for line in lines(tmp_path / "trace")] == [1.0, 2.0, 3.0]
    assert warnings == [f"2 requests were left out of the trace {tmp_path / 'trace'}"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_once_and_what_it_cost(warnings: list[str], decision: RoutingDecision) -> None:
    trace = TraceWriter(Path("/dev/full"), warnings.append)
    trace.record(BATCH_OF_8, decision, 0.0, 1.0)
    deadline_s = time.monotonic() + 60.0
    while not warnings:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    for _ in range(2):
        trace.record(BATCH_OF_8, decision, 0.0, 1.0)
    trace.close()
    assert warnings == [
        "the trace /dev/full can no longer be written: No space left on device",
        "3 requests were left out of the trace /dev/full",
    ]


def router_model(trace_file: Path | None) -> RouterSetup:
    parameters = RouterParameters(variants=(), trace_file=trace_file)
    return RouterSetup("m", Path(), parameters, (), Signature((), (), 0), None)


def test_a_router_that_is_not_told_to_keeps_no_trace(warnings: list[str]) -> None:
    assert open_trace(router_model(None), warnings.append) is None


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere/trace", "No such file or directory"), ("", "Is a directory")]
)
def test_a_file_that_cannot_be_written_is_refused_with_its_place(
    tmp_path: Path, warnings: list[str], name: str, reason: str
) -> None:
    path = tmp_path / name
    threads = threading.active_count()
    with pytest.raises(ConfigurationError) as refused:
        open_trace(router_model(path), warnings.append)
    assert str(refused.value) == (
        "model 'm', config.pbtxt: trace_file: expected a file that can be written, "
        f"found '{path}' ({reason}); name another file"
    )
    assert threading.active_count() == threads
