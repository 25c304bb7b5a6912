"""`model-router` without a package of its extra."""

import subprocess
import sys

import pytest

COMMANDS = ("analyze", "demo", "demo-repository", "emulate", "serve", "simulate")
HIDE_ONNX = "import sys; sys.modules['onnx'] = None; from router_tools.__main__ import main; main()"


def run_without_onnx(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HIDE_ONNX, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [*([command] for command in COMMANDS), ["demo", "--help"], ["serve", "--log=1", "--", "--flag"]],
)
def test_a_command_that_needs_it_says_what_to_install_and_nothing_else(arguments: list[str]) -> None:
    done = run_without_onnx(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: `model-router {arguments[0]}` needs packages that are not installed (onnx): "
        'pip install "triton-model-router[serve]"\n'
    )


def test_the_list_of_commands_says_which_are_not_installed() -> None:
    done = run_without_onnx("--help")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert {row[1] for row in rows if row[2:4] == ["Not", "installed:"]} == set(COMMANDS)
    assert any(row[1:3] == ["check-config", "Check"] for row in rows)


def test_a_command_that_does_not_need_it_runs() -> None:
    done = run_without_onnx("check-config", "--help")
    assert (done.returncode, done.stderr) == (0, "")
