"""The command `check-config`, and what the tests write into a model repository for it."""

import json
from pathlib import Path

import numpy as np
from click.testing import Result
from onnx import helper
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.errors import ToolError
from tests.onnx_models import constant, floats, write_model

TENSORS = """
max_batch_size: 8
input [{ name: 'image' data_type: TYPE_FP32 dims: [3] }]
output [{ name: 'scores' data_type: TYPE_FP32 dims: [2] }]
"""


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check-config", *arguments], env={"COLUMNS": "200"})


def run(*arguments: str) -> str:
    """What the command prints about what is valid; an error of its own is raised."""
    result = check(*arguments)
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def refusal(*arguments: str) -> str:
    """What the command prints about what is wrong, one error a line."""
    result = check(*arguments)
    if isinstance(result.exception, ToolError):
        return str(result.exception)
    assert result.exit_code == 1
    return "\n".join(line.removeprefix("error: ") for line in result.stderr.splitlines())


def add_model(repository: Path, name: str, text: str) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "1" / "model.py").touch()
    (repository / name / "config.pbtxt").write_text(text)


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


def write_scorer(path: Path, name: str = "image", size: int = 3) -> None:
    """Write an ONNX file with the tensors of TENSORS, or an input that differs."""
    write_model(
        path,
        [helper.make_node("MatMul", [name, "weights"], ["scores"])],
        [floats(name, "batch", size)],
        [floats("scores", "batch", 2)],
        [constant("weights", np.ones((size, 2)), np.float32)],
    )


def warnings_of(repository: Path, word: str) -> list[str]:
    return [each for each in json.loads(check(str(repository), "--json").stdout)["warnings"] if word in each]
