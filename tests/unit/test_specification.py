"""The page that maps the specification: no cell is empty, and every name in its cells exists."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.documents import CHECKOUT, SPECIFICATION, Table, table

ROWS: Table = [*table(SPECIFICATION, "heading"), *table(SPECIFICATION, "example")]
SPECIFIED = {
    "ModelRouter": "GetInstance Initialize RegisterModel RouteRequest RecordExecution SetRoutingPolicy "
    "EnableABTesting GetMetrics",
    "ModelCharacteristics": "model_name parameter_count supports_gpu_acceleration supports_neural_engine",
    "RoutingContext": "batch_size max_latency_ms optimization_goal OptimizationGoal",
    "OptimizationGoal": "MINIMIZE_LATENCY MAXIMIZE_THROUGHPUT MINIMIZE_POWER BALANCED",
    "RoutingDecision": "primary_backend expected_latency_ms confidence_score",
    "BackendCapabilities": "",
    "ModelProfile": "",
    "RoutingMetrics": "GetModelMetrics ExportPrometheusMetrics",
    "ModelMetrics": "total_requests backend_counts avg_latency_ms",
    "ModelRouterConfigBuilder": "SetDefaultPolicy AddRoutingRule SetBackendWeight EnableProfiling Build",
    "LatencyOptimizedPolicy": "",
    "ThroughputOptimizedPolicy": "",
    "PowerEfficientPolicy": "",
    "AdaptiveRoutingPolicy": "",
}
"""The classes of the specification's text and examples, and the members that these use."""
FUTURE = "Future Enhancements: all else"


def functions(source: Path) -> set[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_no_cell_is_empty() -> None:
    assert len(ROWS) > 40
    assert [row for row in ROWS if len(row) != 3 or not all(cell.strip() for cell in row)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_tests_that_are_named_are_there(row: list[str]) -> None:
    for named in row[2].split(", "):
        path, _, function = named.partition("::")
        assert (CHECKOUT / path).is_file(), path
        assert not function or function in functions(CHECKOUT / path), named


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_names_that_are_said_to_be_in_a_module_are_in_it(row: list[str]) -> None:
    for name, path in re.findall(r"(\w+)(?:\.\w+)? in (router_backend/[\w/]+)\.py", row[1]):
        if path == "router_backend/serving/adapter":
            continue  # only Triton can import it
        source = (CHECKOUT / f"{path}.py").read_text(encoding="utf-8")
        assert re.search(rf"^(?:class |def |){name}\b", source, re.MULTILINE), (name, path)


def test_the_members_that_are_named_are_there() -> None:
    public = importlib.import_module("router_backend")
    for row in ROWS:
        for kind, member in re.findall(r"\b(ModelRouter|RoutingDecision)\.(\w+)", row[1]):
            assert hasattr(getattr(public, kind), member), (kind, member)


@pytest.mark.parametrize("row", table(SPECIFICATION, "in the specification"), ids=lambda row: row[0])
def test_a_name_that_differs_is_there_under_the_other_one(row: list[str]) -> None:
    kind, _, member = row[1].partition(".")
    named = getattr(importlib.import_module("router_backend"), kind)
    assert not member or hasattr(named, member)
    assert all(cell.strip() for cell in row)


@pytest.mark.parametrize("kind", SPECIFIED)
def test_every_class_is_a_name_of_the_package_with_its_members(kind: str) -> None:
    public = importlib.import_module("router_backend")
    assert kind in public.__all__
    found = getattr(public, kind)
    differing = " ".join(row[0] for row in table(SPECIFICATION, "in the specification"))
    members = {*dir(found), *getattr(found, "__slots__", ())}
    for member in SPECIFIED[kind].split():
        ours = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=AB)(?=T)", "_", member).lower()
        assert {ours, member} & members or member in differing, (member, ours)


def test_nothing_is_claimed_that_is_not_there() -> None:
    (cell,) = [row[1] for row in ROWS if row[0] == FUTURE]
    assert "nothing of it is claimed" in cell
    assert "router_backend" not in cell
