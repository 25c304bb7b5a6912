"""Errors and warnings of the commands."""

from rich.console import Console
from rich.markup import escape

INSTALL_COMMAND = 'pip install "triton-model-router[serve]"'
"""Installs the packages that the commands need in addition to the base installation."""


class ToolError(Exception):
    """A command cannot continue: one sentence that says where, what was expected and found, and the fix."""

    @property
    def summary(self) -> str:
        """The text without the lines of a log that may follow it."""
        return str(self).partition(". The last lines")[0]


def warn(message: str) -> None:
    """Print one line to stderr that does not stop the command."""
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold yellow]warning:[/] {escape(message)}", soft_wrap=True)


def print_error(message: str) -> None:
    """Print one line to stderr about an error."""
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
