import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from router_backend.baselines.uniform_random import RandomPolicy
from router_tools.__main__ import app
from router_tools.errors import ToolError
from router_tools.simulator.world import Failures
from tests.unit.router_tools.off_policy.recorded_runs import entries, fixed_arrivals, mean_ms
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


def run(trace: Path, *arguments: str, status: int = 0) -> tuple[str, str]:
    """Return what was written to stdout and to stderr."""
    result = CliRunner().invoke(app, ["replay", "--trace", str(trace), "--processes", "1", *arguments])
    if isinstance(result.exception, ToolError):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.stdout, result.stderr


def with_changes(lines: Lines, **changes: Any) -> Lines:
    """Return the lines with other members, and without those that are changed to `None`."""
    return [{key: value for key, value in (line | changes).items() if value is not None} for line in lines]


def test_the_table_has_a_row_for_each_policy_the_best_first(tmp_path: Path, drawn: Lines) -> None:
    stdout, stderr = run(write(tmp_path, drawn), "--policies", "static:cpu, latency")
    assert stderr.startswith("warning: static:cpu leaves cpu without capacity for ")
    assert len(stderr.splitlines()) == 1
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
    warning, _ = stderr.splitlines()
    assert warning.startswith("warning: static:cpu sends 100% of the requests to cpu, where only ")
    assert warning.endswith("executions agree with it: its estimate rests on the model alone")


@pytest.mark.parametrize("answers", [0, 3])
def test_a_variant_with_few_answers_is_named_with_their_number(
    tmp_path: Path, drawn: Lines, answers: int
) -> None:
    kept = {id(line) for line in [line for line in drawn if line["variant"] == "cpu"][:answers]}
    lines = [line for line in drawn if line["variant"] != "cpu" or id(line) in kept]
    _, stderr = run(write(tmp_path, lines), "--policies", "latency")
    assert stderr == (
        f"warning: cpu is left out: it answered {answers} requests, and its service times cannot be fitted "
        "to fewer than 5; a policy that would use it is estimated without it\n"
    )


def test_requests_that_no_policy_could_serve_are_left_out_and_counted(tmp_path: Path, drawn: Lines) -> None:
    unserved = [
        {"arrival_s": drawn[0]["arrival_s"] + 0.01 * n, "batch_size": 1, "refusal": refusal}
        for n, refusal in enumerate(["no_variant"] * 3 + ["invalid_request"])
    ]
    stdout, stderr = run(write(tmp_path, drawn + unserved), "--policies", "latency")
    assert "400 requests" in stdout
    assert stderr.startswith("warning: 4 requests were invalid or found no variant: they are left out")


def test_each_policy_refuses_what_it_cannot_serve_in_time(tmp_path: Path, drawn: Lines) -> None:
    """The recorded router refused a late request, so that the estimates do, each by its own predictions."""
    lines = with_changes(drawn, deadline_ms=20.0)
    refused = {"arrival_s": lines[0]["arrival_s"], "batch_size": 1, "refusal": "deadline", "deadline_ms": 0.1}
    path = write(tmp_path, [*lines, refused])
    report = json.loads(run(path, "--policies", "latency,static:cpu", "--json")[0])
    assert report["refused"] == pytest.approx(1 / 401)
    latency, cpu = (report["policies"][name]["refused"] for name in ("latency", "static:cpu"))
    assert min(latency, cpu) > 0.05
    *title, header, _, row = (
        line for line in run(path, "--policies", "latency")[0].splitlines() if line.strip()
    )
    assert " ".join(" ".join(title).split()).endswith(", 0.25% unanswered")
    assert header.split()[-1] == "unanswered"
    assert row.split()[-1] == f"{latency:.2%}"


def test_requests_beyond_what_the_recorded_router_held_are_refused(tmp_path: Path, drawn: Lines) -> None:
    """It refused one while three others were inside."""
    start_s = drawn[-1]["arrival_s"] + 1.0
    answered = drawn[0] | {"latency_ms": 500.0, "service_ms": 400.0, "queued_ms": 0.0}
    inside = [answered | {"arrival_s": start_s + 0.1 * n} for n in range(3)]
    refused = {"arrival_s": start_s + 0.3, "batch_size": 1, "refusal": "overloaded"}
    path = write(tmp_path, [*drawn, *inside, refused])
    report = json.loads(run(path, "--policies", "latency,static:cpu", "--json")[0])
    assert report["policies"]["latency"]["refused"] < 0.1 < report["policies"]["static:cpu"]["refused"]


@pytest.mark.parametrize("error_s", [None, 0.2])
def test_failures_of_the_trace_happen_in_the_estimates(tmp_path: Path, error_s: float | None) -> None:
    """Some fail after their service, others after a time in which nobody is served."""
    failing = replace(three_devices(), failures=(Failures("gpu", 0.0, 1.0, 0.15, error_s),))
    arrivals = fixed_arrivals(failing, workload(load=0.2, requests=1500))
    true_ms = np.mean([mean_ms(failing, arrivals, "static:gpu", seed) for seed in range(2, 6)])
    free_ms = mean_ms(three_devices(), arrivals, "static:gpu", 2)
    path = write(tmp_path, entries(failing, arrivals, "p2c", 1))
    found = json.loads(run(path, "--policies", "static:gpu", "--json")[0])["policies"]["static:gpu"]
    assert abs(free_ms / true_ms - 1.0) > 0.1, "failures matter"
    assert found["mean_ms"] == pytest.approx(true_ms, rel=0.1)
    assert found["failed"] == 0.0, "another variant answers"


def test_wrong_service_times_are_counted_and_change_nothing(tmp_path: Path, drawn: Lines) -> None:
    wrong = {"latency_ms": 3.6e6, "service_ms": 3.6e6}
    number = next(n for n, line in enumerate(drawn) if line["variant"] == "gpu" and n > 200)
    lines = [line | wrong if n == number else line for n, line in enumerate(drawn)]
    report = json.loads(run(write(tmp_path, lines), "--policies", "latency", "--json")[0])
    assert report["limits"][0].startswith(
        "1 service times of gpu (up to 3.6e+06 ms) are 20 or more times above or below"
    )
    right = json.loads(run(write(tmp_path, drawn), "--policies", "latency", "--json")[0])
    for figure in ("mean_ms", "low_ms", "high_ms"):
        assert report["policies"]["latency"][figure] == pytest.approx(
            right["policies"]["latency"][figure], rel=0.05
        )
    assert report["recorded_ms"] == pytest.approx(right["recorded_ms"], rel=0.05)


def test_a_clock_that_jumped_is_reported_and_changes_nothing(tmp_path: Path, drawn: Lines) -> None:
    lines = [line | {"arrival_s": line["arrival_s"] + 1e9 * (n > 200)} for n, line in enumerate(drawn)]
    stdout, stderr = run(write(tmp_path, lines), "--policies", "latency")
    right, _ = run(write(tmp_path, drawn), "--policies", "latency")
    assert stderr.startswith("warning: 1 times nothing was sent for more than a minute, 999,999,9")
    mean_ms, right_ms = (float(each.splitlines()[-2].split()[1]) for each in (stdout, right))
    assert mean_ms == pytest.approx(right_ms, rel=0.05)


def test_an_experiment_is_named_since_its_arms_may_be_drawn_once_for_each_user(
    tmp_path: Path, drawn: Lines
) -> None:
    lines = with_changes(drawn, experiment="v2", arm="control")
    _, stderr = run(write(tmp_path, lines), "--policies", "latency")
    assert stderr.startswith("warning: requests take part in an experiment (v2): if a sticky key or a")


def test_a_recorded_overload_is_named(tmp_path: Path) -> None:
    lines = entries(three_devices(), workload(load=1.5, requests=400), "p2c", 1)
    _, stderr = run(write(tmp_path, lines), "--policies", "latency")
    assert " had no capacity left (busy for 95% or more) for " in stderr
    assert "warning: latency leaves " in stderr


def test_an_error_of_one_policy_leaves_the_others(
    tmp_path: Path, drawn: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(RandomPolicy, "probabilities", broken)
    path = write(tmp_path, drawn[:100])
    stdout, stderr = run(path, "--policies", "random,latency", status=1)
    assert [line.split()[0] for line in stdout.splitlines() if line.strip()][-2:] == ["latency", "random"]
    assert stdout.splitlines()[-2].split() == ["random", "error"]
    assert stderr.endswith("error: random: ZeroDivisionError: division by zero\n")
    report = json.loads(run(path, "--policies", "random,latency", "--json", status=1)[0])
    assert report["policies"]["random"] == {
        "policy": "random",
        "error": "ZeroDivisionError: division by zero",
    }
    assert report["policies"]["latency"]["mean_ms"] > 0.0


@pytest.mark.parametrize(
    ("name", "message"), [("latncy", "expected one of"), ("static:nope", "expected one of the variants of")]
)
def test_a_policy_that_cannot_be_created_leaves_the_others(
    tmp_path: Path, drawn: Lines, name: str, message: str
) -> None:
    path = write(tmp_path, drawn[:60])
    policies = json.loads(run(path, "--policies", f"latency,{name}", "--json", status=1)[0])["policies"]
    assert policies["latency"]["mean_ms"] > 0.0
    assert message in policies[name]["error"]
    assert "\n" not in policies[name]["error"]


def test_no_name_is_broken_in_a_file(tmp_path: Path, drawn: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest line is wider than 80 columns: a long interval, and the share of unanswered requests."""
    monkeypatch.setenv("COLUMNS", "80")
    refused = {"arrival_s": drawn[0]["arrival_s"], "batch_size": 1, "refusal": "deadline", "deadline_ms": 0.1}
    long_name = "nearly_" * 12 + "static"
    path = write(tmp_path, [*with_changes(drawn[:60], deadline_ms=20.0), refused])
    stdout, _ = run(path, "--policies", f"adaptive,{long_name}", status=1)
    assert {"adaptive", long_name} <= {line.split()[0] for line in stdout.splitlines() if line.strip()}


def test_a_policy_that_answers_nothing_has_no_estimate(tmp_path: Path, drawn: Lines) -> None:
    lines = with_changes(drawn[:60], deadline_ms=0.001)
    refused = {"arrival_s": lines[0]["arrival_s"], "batch_size": 1, "refusal": "deadline", "deadline_ms": 0.1}
    _, stderr = run(write(tmp_path, [*lines, refused]), "--policies", "latency", status=1)
    assert stderr.endswith(
        "error: latency: expected requests that it answers, found none: all are refused or fail\n"
    )


def test_the_page_has_the_estimates_the_recorded_shares_and_the_warnings(
    tmp_path: Path, drawn: Lines
) -> None:
    page = tmp_path / "page.html"
    lines = with_changes(drawn[:200], experiment="<v2>")
    run(write(tmp_path, lines), "--policies", "latency,random", "--html", str(page))
    text = page.read_text()
    assert "&lt;v2&gt;" in text
    assert "<v2>" not in text
    estimates, shares = (
        json.loads(each) for each in re.findall(r'<script type="application/json">(.*?)</script>', text)
    )
    assert [trace["name"] for trace in estimates["data"]] == ["doubly robust", "model", "recorded"]
    assert estimates["data"][0]["y"] == ["latency", "random"]
    assert [trace["name"] for trace in shares["data"]] == ["gpu", "ane", "cpu"]
    assert shares["data"][0]["y"][0] == "recorded"
    assert sum(trace["x"][0] for trace in shares["data"]) == pytest.approx(1.0)


def test_a_page_in_a_folder_that_is_missing_is_refused_first(tmp_path: Path, drawn: Lines) -> None:
    with pytest.raises(ToolError, match="--html: expected a file in an existing folder"):
        run(write(tmp_path, drawn), "--html", str(tmp_path / "nowhere" / "page.html"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected requests with at least two different arrival times, found 0 requests"),
        ("no json\n", "line 1, column 1: expected JSON, found an error"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, drawn: Lines, content: str, message: str) -> None:
    path = write(tmp_path, drawn)
    path.write_text(content)
    with pytest.raises(ToolError, match=message) as caught:
        run(path, "--policies", "latency")
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
