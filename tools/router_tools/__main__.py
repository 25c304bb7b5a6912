"""`model-router`: the entry point of all commands."""

import sys
from importlib.util import find_spec
from pkgutil import resolve_name

import typer
from rich.markup import escape

from router_tools.errors import INSTALL_COMMAND, ToolError, print_error

_BASE_COMMANDS = {"check-config": "router_tools.check_config:check_config"}
_SERVE_COMMANDS = {
    "analyze": "router_tools.analyze:analyze",
    "chaos": "router_tools.run_chaos:chaos",
    "demo-repository": "router_tools.demo_repository:demo_repository",
    "demo": "router_tools.run_demo:demo",
    "emulate": "router_tools.emulate:emulate",
    "replay": "router_tools.replay:replay",
    "serve": "router_tools.serve:serve",
    "simulate": "router_tools.simulate:simulate",
}
"""Commands that need the packages of the extra `serve`."""
_SERVE_MODULES = ("grpc", "jinja2", "jsonschema", "onnx", "onnxruntime", "plotly", "psutil", "scipy")
"""The modules that these import; the server itself is only needed when it is started."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    """A model router for NVIDIA Triton Inference Server."""


def _add_commands() -> None:
    missing = [name for name in _SERVE_MODULES if find_spec(name) is None]
    for name, place in sorted({**_BASE_COMMANDS, **_SERVE_COMMANDS}.items()):
        if missing and name in _SERVE_COMMANDS:
            _add_unavailable(name, missing)
        else:
            app.command(name)(resolve_name(place))


def _add_unavailable(name: str, missing: list[str]) -> None:
    """Add a command that says what to install, for any arguments, `--help` included."""

    @app.command(
        name,
        help=f"Not installed: {escape(INSTALL_COMMAND)}",
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
