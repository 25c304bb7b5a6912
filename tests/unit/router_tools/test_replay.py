import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.errors import ToolError
from tests.unit.router_tools.off_policy.recorded_runs import entries
from tests.unit.router_tools.simulator.builders import three_devices, workload

Lines = list[dict[str, Any]]
OLD_FIELDS = ("arrival_s", "batch_size", "elements", "variant", "device", "propensity", "latency_ms")
WIDTH = 80


@pytest.fixture(scope="module")
def drawn() -> Lines:
    """A run of a policy that draws."""
    return entries(three_devices(), workload(load=0.3, requests=400), "p2c", 1)


def write(folder: Path, lines: Lines) -> Path:
    path = folder / "shop.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(trace: Path, *arguments: str) -> tuple[str, str]:
    """Return what was written to stdout and to stderr."""
    result = CliRunner().invoke(app, ["replay", "--trace", str(trace), "--processes", "1", *arguments])
    if isinstance(result.exception, ToolError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def with_changes(lines: Lines, **changes: Any) -> Lines:
    """Return the lines with other members, and without those that are changed to `None`."""
    return [{key: value for key, value in (line | changes).items() if value is not None} for line in lines]


def test_the_table_has_a_row_for_each_policy_the_best_first(tmp_path: Path, drawn: Lines) -> None:
    stdout, stderr = run(write(tmp_path, drawn), "--policies", "static:cpu, latency")
    assert stderr == ""
    rows = [line.split() for line in stdout.splitlines() if line.strip()]
    assert "400 requests" in stdout
    assert [row[0] for row in rows[-2:]] == ["latency", "static:cpu"]
    assert max(len(line.rstrip()) for line in stdout.splitlines()) <= WIDTH


def test_json_has_both_estimates_the_interval_and_the_overlap(tmp_path: Path, drawn: Lines) -> None:
    report = json.loads(run(write(tmp_path, drawn), "--policies", "latency", "--json")[0])
    assert (report["requests"], report["limits"]) == (400, [])
    assert report["recorded_ms"] == pytest.approx(sum(line["latency_ms"] for line in drawn) / 400)
    found = report["policies"]["latency"]
    assert found["low_ms"] < found["mean_ms"] < found["high_ms"]
    assert found["model_ms"] == pytest.approx(found["mean_ms"], rel=0.1)
    assert set(found["shares"]) == set(found["effective"]) == {"gpu", "ane", "cpu"}


def test_without_names_every_policy_is_estimated_in_parallel(tmp_path: Path, drawn: Lines) -> None:
    report = json.loads(run(write(tmp_path, drawn[:60]), "--processes", "2", "--json")[0])
    assert len(report["policies"]) > 10


def test_the_seed_decides_the_estimate(tmp_path: Path, drawn: Lines) -> None:
    trace = write(tmp_path, drawn)
    first, again, other = (
        run(trace, "--policies", "latency", "--json", "--seed", seed)[0] for seed in ("1", "1", "2")
    )
    assert first == again != other


def test_a_cut_last_line_is_left_out_and_reported(tmp_path: Path, drawn: Lines) -> None:
    path = write(tmp_path, drawn)
    path.write_text(path.read_text()[:-40])
    stdout, stderr = run(path, "--policies", "latency")
    assert "399 requests" in stdout
    assert stderr == (
        f"warning: {path}: line 400 is cut and left out; a full disk or a killed server leaves such lines\n"
    )


def test_a_trace_of_the_first_version_is_used_with_a_sentence_about_what_it_lacks(
    tmp_path: Path, drawn: Lines
) -> None:
    old = [{key: line[key] for key in OLD_FIELDS} for line in drawn]
    stdout, stderr = run(write(tmp_path, old), "--policies", "latency")
    assert "latency" in stdout
    assert stderr == (
        "warning: most requests lack service_ms, candidates, policy, which version 0.1.0 does not record, so "
        "that service times are inferred and each variant is taken to serve one request at a time: record it "
        "again\n"
    )


def test_a_trace_in_which_nothing_was_drawn_says_so(tmp_path: Path, drawn: Lines) -> None:
    _, stderr = run(write(tmp_path, with_changes(drawn, propensity=1.0)), "--policies", "latency")
    assert stderr.startswith("warning: nothing was drawn (every propensity is 1), so that only the model")


def test_a_policy_that_goes_where_the_recorded_one_hardly_went_is_named(tmp_path: Path, drawn: Lines) -> None:
    seldom = {id(line) for line in [each for each in drawn if each["variant"] == "cpu"][7:]}
    lines = [line for line in drawn if id(line) not in seldom]
    _, stderr = run(write(tmp_path, lines), "--policies", "static:cpu,latency")
    (warning,) = stderr.splitlines()
    assert warning.startswith("warning: static:cpu sends 100% of the requests to cpu, where only ")
    assert warning.endswith("executions agree with it: its estimate rests on the model alone")


def test_a_variant_without_answers_is_named(tmp_path: Path, drawn: Lines) -> None:
    lines = [line for line in drawn if line["variant"] != "cpu"]
    _, stderr = run(write(tmp_path, lines), "--policies", "latency")
    assert stderr == ("warning: cpu answered too few requests to be fitted: the estimates are without them\n")


def test_failed_attempts_are_counted(tmp_path: Path, drawn: Lines) -> None:
    lines = with_changes(drawn[:40], failures=[{"variant": "cpu", "fault": "dead"}]) + drawn[40:]
    _, stderr = run(write(tmp_path, lines), "--policies", "latency")
    assert stderr == "warning: 40 attempts failed: no variant fails in the estimates\n"


@pytest.mark.parametrize(
    ("content", "policies", "message"),
    [
        ("", "latency", "expected requests with at least two different arrival times, found 0 requests"),
        ("no json\n", "latency", "line 1, column 1: expected JSON, found an error"),
        (None, "latncy", "expected one of"),
        (None, "static:tpu", "expected one of the variants of"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, drawn: Lines, content: str | None, policies: str, message: str
) -> None:
    path = write(tmp_path, drawn)
    if content is not None:
        path.write_text(content)
    with pytest.raises(ToolError, match=message) as caught:
        run(path, "--policies", policies)
    assert "\n" not in str(caught.value)


def test_a_trace_without_propensities_is_refused_with_the_fix(tmp_path: Path, drawn: Lines) -> None:
    path = write(tmp_path, with_changes(drawn[:10], propensity=None) + drawn[10:])
    with pytest.raises(ToolError) as caught:
        run(path)
    assert str(caught.value) == (
        f"{path}: expected a propensity in each of 400 answered requests, found none in 10: record the trace "
        "with `trace_file`, or use `simulate`, which needs none"
    )


def test_a_trace_without_answers_is_refused(tmp_path: Path) -> None:
    lines = [{"arrival_s": float(second), "batch_size": 1, "refusal": "deadline"} for second in range(9)]
    with pytest.raises(ToolError, match="expected a variant with at least 5 answered requests"):
        run(write(tmp_path, lines))
