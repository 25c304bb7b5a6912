import json
from pathlib import Path
from typing import Any

import pytest

from router_tools.errors import ToolError
from router_tools.simulator.catalog import find, names
from router_tools.simulator.comparison import Case, compare
from router_tools.simulator.suite import SuiteCase, Target, judge
from router_tools.simulator.suite_file import read_suite
from tests.unit.router_tools.simulator.builders import three_devices, workload

CASE = Case("a case", three_devices(), workload(requests=300), ("latency", "p2c", "round_robin"))
COMPARISON = compare([CASE], (0,), 1, lambda: None)[0]
ENTRY = {"name": "one", "world": "resnet50", "workload": "poisson"}


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("latency", "mean_ratio", at_most=1.2), True),
        (Target("latency", "mean_ratio", at_most=0.5), False),
        (Target("latency", "mean_ratio", at_least=0.5), True),
        (Target("latency", "mean_ratio", at_least=1.5), False),
        (Target("latency", "mean_ratio", at_least=0.5, at_most=0.6), False),
        (Target("latency", "mean_ratio", least_of_all=True), True),
        (Target("p2c", "mean_ratio", least_of_all=True), False),
        (Target("latency", "mean_ratio", at_most=0.5, least_of_all=True), False),
    ],
)
def test_a_target_is_met_when_each_of_its_bounds_is(target: Target, met: bool) -> None:
    (outcome,) = judge(SuiteCase(CASE, (target,)), COMPARISON)
    assert outcome.met is met


def test_a_target_about_others_names_the_best_of_them_but_no_oracle() -> None:
    (outcome,) = judge(SuiteCase(CASE, (Target("p2c", "mean_ratio", least_of_all=True),)), COMPARISON)
    assert outcome.rival is not None
    assert outcome.rival.startswith("latency ")


@pytest.mark.parametrize(("bound", "met"), [({"at_most": 1.01}, True), ({"at_most": 0.99}, False)])
def test_a_target_can_be_relative_to_another_policy(bound: dict[str, float], met: bool) -> None:
    """The ratio is that of the means, and 1 for a policy relative to itself."""
    for policy in ("latency", "oracle"):
        (outcome,) = judge(
            SuiteCase(CASE, (Target(policy, "mean_ms", relative_to=policy, **bound),)), COMPARISON
        )
        assert (outcome.value, outcome.met) == (1.0, met)
    (ratio,) = judge(
        SuiteCase(CASE, (Target("p2c", "mean_ms", relative_to="oracle", at_most=9.0),)), COMPARISON
    )
    (p2c,), (oracle,) = COMPARISON.metrics["p2c"], COMPARISON.metrics["oracle"]
    assert ratio.value == pytest.approx(p2c.mean_ms / oracle.mean_ms)


def test_a_target_reads_as_its_bounds() -> None:
    assert str(Target("p", "f", at_most=1.05, relative_to="sed")) == "≤ 1.05 of sed"
    assert str(Target("p", "f", at_least=0.88, at_most=0.92)) == "≥ 0.88, ≤ 0.92"
    assert str(Target("p", "f", least_of_all=True)) == "lowest of all"


@pytest.mark.parametrize("name", names("suites"))
def test_every_suite_that_comes_along_is_valid(name: str) -> None:
    assert all(entry.case.policies for entry in read_suite(find("suites", name)))


def write(folder: Path, *cases: dict[str, Any]) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps({"description": "Mine.", "cases": cases}, indent=1))
    return path


def test_a_case_changes_its_world_and_workload(tmp_path: Path) -> None:
    changes = {"load": 0.7, "requests": 10, "told_deadline": True, "warm_up_batch_sizes": [2]}
    changes |= {"calm": True, "coverage": 0.95}
    ((entry),) = read_suite(write(tmp_path, ENTRY | changes | {"policies": ["p2c"]}))
    case = entry.case
    assert (case.workload.load, case.workload.requests, case.workload.told_deadline) == (0.7, 10, True)
    assert case.workload.warm_up_batch_sizes == (2,)
    assert (case.world.drifts, case.world.outages, case.coverage, case.policies) == ((), (), 0.95, ("p2c",))


def test_a_suite_finds_worlds_beside_it(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(find("worlds", "bert").read_text())
    (entry,) = read_suite(write(tmp_path, ENTRY | {"world": "own.json"}))
    assert entry.case.world.name == "own"


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ((ENTRY, ENTRY), "line 10: cases[1].name: expected a unique name, found 'one' again"),
        (
            (ENTRY | {"policies": ["p2c"], "targets": [{"policy": "c3", "figure": "mean_ms"}]},),
            "line 13: cases[0].targets[0].policy: expected one of the policies of the case (oracle, p2c), "
            "found 'c3'",
        ),
        (
            (
                ENTRY
                | {
                    "policies": ["p2c"],
                    "targets": [{"policy": "p2c", "figure": "mean_ms", "relative_to": "sed"}],
                },
            ),
            "line 15: cases[0].targets[0].relative_to: expected one of the policies of the case "
            "(oracle, p2c), found 'sed'",
        ),
        (
            ({"name": "x", "world": "resnet50"},),
            "line 4: cases[0]: expected the key 'workload' (text), found only name, world; add it",
        ),
    ],
)
def test_an_error_names_file_line_field_and_what_was_expected(
    tmp_path: Path, cases: tuple[dict[str, Any], ...], message: str
) -> None:
    path = write(tmp_path, *cases)
    with pytest.raises(ToolError) as caught:
        read_suite(path)
    assert str(caught.value) == f"{path}, {message}"
