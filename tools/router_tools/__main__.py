"""`model-router`: the entry point of all commands."""

import sys
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import NamedTuple

import typer

from router_tools.errors import INSTALL_COMMAND, ToolError, print_error


class Command(NamedTuple):
    """A command: the place of its function, and what the list of commands says of it, in 57 characters."""

    place: str
    summary: str


_BASE_COMMANDS = {
    "check-config": Command(
        "router_tools.check_config:check_config", "Check a routing configuration or a whole repository."
    )
}
_SERVE_COMMANDS = {
    "analyze": Command("router_tools.analyze:analyze", "Print the characteristics of ONNX files."),
    "chaos": Command("router_tools.run_chaos:chaos", "Make a variant ill, and see what clients notice."),
    "demo-repository": Command(
        "router_tools.demo_repository:demo_repository", "Write the models of the demo."
    ),
    "demo": Command("router_tools.run_demo:demo", "Serve models, and compare the router with its variants."),
    "emulate": Command("router_tools.emulate:emulate", "Write a repository of emulated devices."),
    "replay": Command("router_tools.replay:replay", "Estimate other policies from a recorded trace."),
    "serve": Command("router_tools.serve:serve", "Serve a model repository with Triton."),
    "simulate": Command("router_tools.simulate:simulate", "Compare policies in simulated worlds."),
}
"""Commands that need the packages of the extra `serve`."""
_SERVE_MODULES = ("grpc", "jinja2", "jsonschema", "onnx", "onnxruntime", "plotly", "psutil", "scipy")
"""The modules that these import; the server itself is only needed when it is started."""

# Without rich, which cuts the names of options in a narrow terminal.
app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


@app.callback()
def _root() -> None:
    """A model router for NVIDIA Triton Inference Server."""


def _add_commands() -> None:
    missing = [name for name in _SERVE_MODULES if find_spec(name) is None]
    for name, command in sorted({**_BASE_COMMANDS, **_SERVE_COMMANDS}.items()):
        if missing and name in _SERVE_COMMANDS:
            _add_unavailable(name, missing)
        else:
            app.command(name, short_help=command.summary)(resolve_name(command.place))


def _add_unavailable(name: str, missing: list[str]) -> None:
    """Add a command that says what to install, for any arguments, `--help` included."""

    @app.command(
        name,
        help=f"Not installed: {INSTALL_COMMAND}",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def fail() -> None:
        raise ToolError(
            f"`model-router {name}` needs packages that are not installed ({', '.join(missing)}): "
            f"{INSTALL_COMMAND}"
        )


def main() -> None:
    """Run a command; for a `ToolError`, print one line to stderr and exit with status 1."""
    try:
        app()
    except ToolError as error:
        print_error(str(error))
        sys.exit(1)


_add_commands()

if __name__ == "__main__":
    main()
