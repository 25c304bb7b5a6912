"""Options that several commands have."""

import os
from pathlib import Path
from typing import Annotated

import typer

from router_backend.path_kind import FOLDER, path_kind
from router_tools.errors import ToolError

PROCESSES = os.cpu_count() or 1
"""The default number of parallel processes."""

PoliciesOption = Annotated[str, typer.Option(help="Comma-separated policies; default all.")]
ProcessesOption = Annotated[int, typer.Option(min=1, help="Parallel processes.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]
HtmlOption = Annotated[Path | None, typer.Option(help="Write an HTML page with plots to this file.")]


def names_in(text: str) -> list[str]:
    """Return the names in a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def check_html(path: Path | None) -> None:
    """Check that the folder of an HTML page exists, before the work is done.

    Raises:
        ToolError: it does not exist.
    """
    if path is not None and path_kind(path.parent) != FOLDER:
        raise ToolError(f"--html: expected a file in an existing folder, found {path}")
