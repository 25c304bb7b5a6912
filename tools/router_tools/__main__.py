"""`model-router`: the one entry point of every command."""

import sys
from collections.abc import Callable
from pkgutil import resolve_name

import typer
from rich.console import Console
from rich.markup import escape

from router_tools.errors import INSTALL_COMMAND, ToolError

_COMMANDS = {
    "analyze": "router_tools.analyze:analyze",
    "check-config": "router_tools.check_config:check_config",
    "demo-repository": "router_tools.demo_repository:demo_repository",
    "demo": "router_tools.run_demo:demo",
    "emulate": "router_tools.emulate:emulate",
    "serve": "router_tools.serve:serve",
    "simulate": "router_tools.simulate:simulate",
}
_OWN_PACKAGES = ("router_backend", "router_tools")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    """A model router for NVIDIA Triton Inference Server."""


def _add_command(name: str) -> None:
    try:
        command = resolve_name(_COMMANDS[name])
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package in _OWN_PACKAGES:
            raise
        _add_unavailable_command(name, package)
    else:
        app.command(name)(command)


def _add_unavailable_command(name: str, package: str) -> None:
    """Add a command that accepts any arguments and says what to install."""
    any_arguments = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command(name, context_settings=any_arguments, add_help_option=False)(_unavailable(name, package))


def _unavailable(name: str, package: str) -> Callable[[], None]:
    def fail() -> None:
        raise ToolError(
            f"`model-router {name}` needs the package '{package}', which is not installed: {INSTALL_COMMAND}"
        )

    fail.__doc__ = f"Not installed: {INSTALL_COMMAND}."
    return fail


for _name in _COMMANDS:
    _add_command(_name)


def main() -> None:
    """Run a command; a ToolError becomes one line on stderr and exit status 1."""
    try:
        app()
    except ToolError as error:
        message = f"[bold red]error:[/] {escape(str(error))}"
        Console(stderr=True, highlight=False).print(message, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
