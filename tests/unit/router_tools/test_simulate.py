import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.errors import ToolError
from router_tools.simulator.catalog import names

QUICK = ("--requests", "300", "--seeds", "2", "--processes", "1")


def run(*arguments: str | Path, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["simulate", *map(str, arguments)])
    if isinstance(result.exception, ToolError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    assert result.stderr == "", "a progress bar is for terminals"
    return result.stdout


def test_the_table_has_every_policy_and_the_oracle() -> None:
    table = run("--policies", "latency, p2c,static:resnet50_gpu", *QUICK)
    first_words = [line.split()[0] for line in table.splitlines() if line.strip()]
    assert sorted(first_words[3:]) == ["latency", "oracle", "p2c", "static:resnet50_gpu"]


def test_all_policies_are_compared_unless_some_are_named() -> None:
    report = json.loads(run("--json", *QUICK))
    assert len(report["cases"][0]["policies"]) > 10


def test_json_has_the_figures_of_each_seed_and_their_means() -> None:
    (case,) = json.loads(run("--policies", "latency", "--load", "0.3", "--calm", "--json", *QUICK))["cases"]
    assert (case["world"], case["workload"], case["seeds"], case["calm"]) == (
        "resnet50",
        "poisson",
        [0, 1],
        True,
    )
    assert case["load"] == pytest.approx(0.3)
    figures = case["policies"]["latency"]
    by_seed = [row["mean_ms"] for row in figures["by_seed"]]
    assert figures["mean"]["mean_ms"] == pytest.approx(sum(by_seed) / 2)


def test_cold_skips_the_warm_up() -> None:
    (case,) = json.loads(run("--policies", "latency", "--cold", "--json", *QUICK))["cases"]
    assert case["warm_up_batch_sizes"] == []


def test_a_metric_without_data_is_null() -> None:
    (case,) = json.loads(run("--policies", "latency", "--json", *QUICK, "--requests", "20"))["cases"]
    assert case["policies"]["latency"]["mean"]["calibration.service_r2"] is None


def test_the_list_has_all_bundled_files_and_policies() -> None:
    listed = run("--list")
    for kind in ("worlds", "workloads", "suites"):
        assert all(name in listed for name in names(kind))
    assert "oracle, oracle_refusing, sed, latency" in listed


def test_an_html_page_is_written(tmp_path: Path) -> None:
    run("--policies", "latency", "--html", tmp_path / "report.html", *QUICK)
    assert "<!DOCTYPE html>" in (tmp_path / "report.html").read_text()


def write_suite(folder: Path, at_most: float) -> Path:
    target = {"policy": "p2c", "figure": "mean_ratio", "at_most": at_most}
    case = {"name": "one", "world": "resnet50", "workload": "poisson", "requests": 300, "policies": ["p2c"]}
    path = folder / "suite.json"
    path.write_text(json.dumps({"description": "A suite.", "cases": [case | {"targets": [target]}]}))
    return path


@pytest.mark.parametrize(("at_most", "exit_code", "word"), [(100.0, 0, "met"), (0.1, 2, "missed")])
def test_a_suite_prints_its_targets_and_their_outcomes(
    tmp_path: Path, at_most: float, exit_code: int, word: str
) -> None:
    arguments = ("--suite", write_suite(tmp_path, at_most), "--seeds", "1", "--processes", "1")
    line = next(line for line in run(*arguments, exit_code=exit_code).splitlines() if line.startswith(" one"))
    assert line.split()[:5] == ["one", "p2c", "mean_ratio", "≤", f"{at_most:g}"]
    assert line.split()[-1] == word
    (target,) = json.loads(run(*arguments, "--json", exit_code=exit_code))["targets"]
    assert (target["case"], target["figure"], target["met"]) == ("one", "mean_ratio", exit_code == 0)


def write_trace(folder: Path) -> Path:
    entries = [
        {"arrival_s": 0.02 * n, "batch_size": 1 + n % 4, "variant": f"v{n % 2}", "latency_ms": 5.0 + n % 4}
        for n in range(200)
    ]
    path = folder / "shop.jsonl"
    path.write_text("\n".join(map(json.dumps, entries)))
    return path


def test_a_trace_is_repeated_in_a_world_fitted_to_it(tmp_path: Path) -> None:
    arguments = ("--policies", "latency", "--seeds", "1", "--processes", "1", "--json")
    (case,) = json.loads(run("--trace", write_trace(tmp_path), *arguments))["cases"]
    assert (case["world"], case["workload"], case["requests"]) == ("shop", "shop", 200)
    assert {name for name in case["policies"]["latency"]["mean"] if "shares" in name} == {
        "shares.v0",
        "shares.v1",
    }


def test_a_cut_line_of_a_trace_is_reported_once(tmp_path: Path) -> None:
    path = write_trace(tmp_path)
    path.write_text(path.read_text()[:-9])
    arguments = [
        "simulate",
        "--trace",
        str(path),
        "--policies",
        "latency",
        "--seeds",
        "1",
        "--processes",
        "1",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert result.stderr == (
        f"warning: {path}: line 200 is cut and left out; a full disk or a killed server leaves such lines\n"
    )


def test_a_trace_is_repeated_in_a_named_world(tmp_path: Path) -> None:
    arguments = ("--world", "resnet50", "--policies", "latency", "--seeds", "1", "--processes", "1", "--json")
    (case,) = json.loads(run("--trace", write_trace(tmp_path), *arguments))["cases"]
    assert (case["world"], case["workload"]) == ("resnet50", "shop")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite", "study", "--load", "0.3"), "--suite and --load cannot be combined: remove --load"),
        (("--suite", "study", "--calm"), "--suite and --calm cannot be combined: remove --calm"),
        (
            ("--trace", "t", "--workload", "text"),
            "--trace and --workload cannot be combined",
        ),
        (
            ("--html", "nowhere/at/all.html"),
            "expected a file in an existing folder, found nowhere/at/all.html",
        ),
        (("--trace", "/dev/zero"), "/dev/zero: expected a file, found something that is not a regular file"),
        (("--policies", "latncy"), "found 'latncy'"),
        (("--world", "resnet5"), "did you mean 'resnet50'?"),
        (("--trace", "none.jsonl"), "none.jsonl: expected a file, found no such file"),
    ],
)
def test_invalid_options_are_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ToolError) as caught:
        run(*arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("load", ["inf", "nan", "0", "1e300"])
def test_a_load_out_of_range_is_refused(load: str) -> None:
    result = CliRunner().invoke(app, ["simulate", "--load", load])
    assert result.exit_code == 2
    assert "Invalid value for '--load'" in result.stderr
