"""`model-router check-config`: is a routing configuration valid, and what does it resolve to?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from router_backend.errors import ConfigurationError
from router_backend.path_kind import FOLDER, path_kind
from router_tools.config_check.checked import Checked
from router_tools.config_check.report import as_json, print_result
from router_tools.config_check.repository import check_repository
from router_tools.config_check.routing_file import check_routing_file

PathArgument = Annotated[Path, typer.Argument(help="A routing configuration, or a model repository.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def check_config(path: PathArgument, as_json_: JsonOption = False) -> None:
    """Check a routing configuration, or all routers of a repository, and show what each resolves to.

    Exit status: 0; 1 when something is wrong, after everything that is.
    """
    checked = _check(path)
    if as_json_:
        typer.echo(json.dumps(as_json(path, checked), indent=2))
    else:
        print_result(path, checked)
    if checked.errors:
        raise typer.Exit(1)


def _check(path: Path) -> Checked:
    try:
        return check_repository(path) if path_kind(path) == FOLDER else check_routing_file(path)
    except ConfigurationError as error:
        return Checked({}, tuple(error.problems))
