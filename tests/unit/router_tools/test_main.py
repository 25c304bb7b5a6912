"""`model-router` without the packages of its extra."""

import subprocess
import sys

import pytest

NEEDS = {
    "analyze": "onnx",
    "demo-repository": "onnx",
    "demo": "onnx",
    "emulate": "jsonschema",
    "serve": "psutil",
    "simulate": "jsonschema",
}
HIDE = "import sys; sys.modules[sys.argv.pop(1)] = None; from router_tools.__main__ import main; main()"


def run_without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HIDE, package, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments", [*([command] for command in NEEDS), ["demo", "--help"], ["serve", "--log=1", "--", "--flag"]]
)
def test_a_command_whose_package_is_missing_says_what_to_install_and_nothing_else(
    arguments: list[str],
) -> None:
    command = arguments[0]
    done = run_without(NEEDS[command], *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"error: `model-router {command}` needs the package '{NEEDS[command]}', which is not installed: "
        'pip install "triton-model-router[serve]"\n'
    )


def test_the_list_of_commands_says_which_are_not_installed() -> None:
    done = run_without("plotly", "--help")
    assert done.returncode == 0
    rows = [line for line in done.stdout.splitlines() if "Not installed" in line]
    assert [row.split()[1] for row in rows] == ["simulate"]


def test_a_missing_module_of_this_project_is_an_error_with_its_traceback() -> None:
    done = run_without("router_tools.serve", "--help")
    assert "Traceback" in done.stderr
