import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.errors import ToolError


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(
        app, ["emulate", *map(str, arguments)], catch_exceptions=False, standalone_mode=False
    )
    if result.exception:
        raise result.exception
    return result.stdout


def test_the_policy_may_be_one_of_the_emulated_variants(tmp_path: Path) -> None:
    run("--output", tmp_path, "--policy", "static:resnet50_cpu_emulated")
    assert (
        'string_value: "static:resnet50_cpu_emulated"' in (tmp_path / "resnet50" / "config.pbtxt").read_text()
    )


def test_a_batch_above_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="less than or equal to 65536"):
        run("--output", tmp_path / "repository", "--largest-batch", "99999999999999")


def test_the_router_has_the_name_of_the_world_and_the_policy(tmp_path: Path) -> None:
    report = json.loads(run("--output", tmp_path, "--policy", "p2c", "--json"))
    assert report["router"] == "resnet50"
    assert set(report["models"]) == {path.name for path in tmp_path.iterdir()}
    assert 'string_value: "p2c"' in (tmp_path / "resnet50" / "config.pbtxt").read_text()


def test_the_command_to_serve_the_repository_is_printed(tmp_path: Path) -> None:
    assert f"model-router serve --model-repository {tmp_path}" in run("--output", tmp_path)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--policy", "latancy", "expected one of the policies"),
        ("--policy", "static:zzz", "one of resnet50_gpu_emulated, .*, found 'static:zzz'"),
        ("--world", "resnet5", "did you mean 'resnet50'"),
        ("--world", "bert", "service times by sequence length"),
    ],
)
def test_invalid_options_are_refused_and_nothing_is_written(
    tmp_path: Path, option: str, value: str, message: str
) -> None:
    with pytest.raises(ToolError, match=message):
        run("--output", tmp_path / "repository", option, value)
    assert list(tmp_path.iterdir()) == []
