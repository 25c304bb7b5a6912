import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.errors import ToolError
from tests.onnx_models import write_doubler


def run(*arguments: str) -> str:
    """Run the command and return its output; raise its error if it fails."""
    result = CliRunner().invoke(app, ["analyze", *arguments], env={"COLUMNS": "200"})
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def test_a_repository_is_printed_as_a_table_with_the_names_of_its_models(tmp_path: Path) -> None:
    write_doubler(tmp_path / "twice" / "1" / "model.onnx")
    printed = run(str(tmp_path))
    assert "twice/1" in printed
    assert "x[1] is dynamic" in printed


def test_the_analysis_is_printed_as_json(tmp_path: Path) -> None:
    file = write_doubler(tmp_path / "doubler.onnx")
    report = json.loads(run(str(file), "--json"))[str(file)]
    assert (report["operators"], report["parameter_count"], report["macs"]) == ({"Add": 1}, 0, 0)
    assert report["dynamic_dimensions"] == ["x[1]"]
    assert "x[1] is dynamic" in report["suitability"]["neural_engine"]["reason_out"]
    assert report["suitability"]["gpu"]["reason_out"] is None


def test_an_invalid_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"?")
    with pytest.raises(ToolError, match=r"m\.onnx: expected an ONNX file, found one that is truncated"):
        run(str(tmp_path))


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="expected ONNX files in this folder, found none"):
        run(str(tmp_path))


@pytest.mark.parametrize("path", ["/dev/zero", "m" * 5000], ids=["device", "too long"])
def test_only_regular_files_are_accepted(path: str) -> None:
    with pytest.raises(ToolError, match=": expected an ONNX file, found "):
        run(path)


def test_a_folder_named_like_a_file_is_searched(tmp_path: Path) -> None:
    file = write_doubler(tmp_path / "models.onnx" / "doubler.onnx")
    assert list(json.loads(run(str(tmp_path), "--json"))) == [str(file)]
