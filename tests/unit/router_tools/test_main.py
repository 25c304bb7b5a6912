"""`model-router` without a package of its extra."""

import os
import subprocess
import sys

import pytest

COMMANDS = ("analyze", "chaos", "demo", "demo-repository", "emulate", "replay", "serve", "simulate")
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
    listed = [line.strip("│ ").partition(" ") for line in done.stdout.splitlines()]
    hint = 'Not installed: pip install "triton-model-router[serve]"'
    assert [name for name, _, text in listed if text.strip() == hint] == sorted(COMMANDS)
    assert any(name == "check-config" and text.strip().startswith("Check") for name, _, text in listed)


def test_a_command_that_does_not_need_it_runs() -> None:
    done = run_without_onnx("check-config", "--help")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [[], *([name] for name in (*COMMANDS, "check-config"))])
def test_nothing_of_the_help_is_cut_in_a_narrow_terminal(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "router_tools", *command, "--help"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "…" not in done.stdout
    assert "...\n" not in done.stdout.partition("\n")[2]
