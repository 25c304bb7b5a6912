import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.errors import ToolError
from tests.onnx_models import write_doubler


def run(*arguments: str) -> str:
    """What the command prints; an error of its own is raised."""
    result = CliRunner().invoke(app, ["analyze", *arguments], env={"COLUMNS": "200"})
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def test_a_repository_is_told_in_a_table_by_the_names_of_its_models(tmp_path: Path) -> None:
    write_doubler(tmp_path / "twice" / "1" / "model.onnx")
    printed = run(str(tmp_path))
    assert "twice/1" in printed
    assert "x[1] is open" in printed


def test_the_same_is_told_in_json(tmp_path: Path) -> None:
    file = write_doubler(tmp_path / "doubler.onnx")
    told = json.loads(run(str(file), "--json"))[str(file)]
    assert (told["operators"], told["parameter_count"], told["macs"]) == ({"Add": 1}, 0, 0)
    assert told["dynamic_dimensions"] == ["x[1]"]
    assert "x[1] is open" in told["suitability"]["neural_engine"]["reason_out"]
    assert told["suitability"]["gpu"]["reason_out"] is None


def test_a_broken_file_ends_it_with_the_message(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"?")
    with pytest.raises(ToolError, match=r"m\.onnx: expected an ONNX file, found one that is truncated"):
        run(str(tmp_path))


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="expected ONNX files in this folder, found none"):
        run(str(tmp_path))


@pytest.mark.parametrize("path", ["/dev/zero", "m" * 5000], ids=["device", "too long"])
def test_what_is_no_regular_file_is_refused(path: str) -> None:
    with pytest.raises(ToolError, match=": expected an ONNX file, found "):
        run(path)


def test_a_folder_that_is_called_like_a_file_is_looked_through(tmp_path: Path) -> None:
    file = write_doubler(tmp_path / "models.onnx" / "doubler.onnx")
    assert list(json.loads(run(str(tmp_path), "--json"))) == [str(file)]
