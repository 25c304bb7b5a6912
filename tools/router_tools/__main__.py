"""`model-router`: the one entry point of every command."""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from router_tools.analyze import analyze
from router_tools.check_config import check_config
from router_tools.demo_repository import demo_repository
from router_tools.emulate import emulate
from router_tools.errors import ToolError
from router_tools.run_demo import demo
from router_tools.serve import serve
from router_tools.simulate import simulate

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command(name="analyze")(analyze)
app.command(name="check-config")(check_config)
app.command(name="demo-repository")(demo_repository)
app.command(name="demo")(demo)
app.command(name="emulate")(emulate)
app.command(name="serve")(serve)
app.command(name="simulate")(simulate)


@app.callback()
def _root() -> None:
    """A model router for NVIDIA Triton Inference Server."""


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
