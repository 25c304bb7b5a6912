"""`model-router demo-repository`: make the demo's models and put them into a model repository."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from router_tools.demo.repository import DemoModel, check_output, make_models, place_models, step_count
from router_tools.embedded_triton.repository import MODEL_REPOSITORY
from router_tools.errors import ToolError
from router_tools.user_cache import user_cache


def demo_repository(
    output: Annotated[
        Path, typer.Option(help="Model repository in which the models are written.")
    ] = MODEL_REPOSITORY,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder in which the models are cached.", show_default="~/.cache/model-router/models"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make the models even if the cache has them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make ResNet-50 and SqueezeNet with random weights, fp32 and int8, and put them into their variants."""
    models, files = make_repository(output, cache, force=force)
    if as_json:
        typer.echo(json.dumps(_as_json(output, models, files), indent=2))
    else:
        print_repository(Console(), models, files)


def make_repository(
    output: Path, cache: Path | None = None, *, force: bool = False
) -> tuple[list[DemoModel], list[Path]]:
    """Make the models and put them into their variants; show progress if stderr is a terminal.

    Args:
        output: the model repository; created if it does not exist.
        cache: folder to keep the models in; `None` for the user's cache folder.
        force: make them even if the cache has them.

    Returns:
        The models, and the file of each variant.

    Raises:
        ToolError: a folder is a file, contains other models, or cannot be written.
    """
    cache = cache or user_cache("models")
    try:
        for folder in (output, cache):
            _check_folder(folder)
        check_output(output)
        return _make_and_place(output, cache, force=force)
    except OSError as error:
        raise ToolError(f"the demo repository could not be written: {error}") from error


def print_repository(console: Console, models: list[DemoModel], files: list[Path]) -> None:
    """Print the models that `make_repository` made, and where they are."""
    repository, cache = files[0].parents[2].absolute(), models[0].path.parent.absolute()
    console.print(_table(models))
    where = f"{len(files)} variants in {repository}; the models are kept in {cache}"
    console.print(where, markup=False, highlight=False, soft_wrap=True)


def _table(models: list[DemoModel]) -> Table:
    table = Table()
    for column in ("model", "precision", "MB", "like fp32: cosine", "same class"):
        table.add_column(column, justify="left" if column in ("model", "precision") else "right")
    for model in models:
        agreement = model.agreement
        marks = (f"{agreement.cosine_similarity:.3f}", f"{agreement.top1:.0%}") if agreement else ("", "")
        table.add_row(model.name, model.precision, f"{model.size_mb}", *marks)
    return table


def _make_and_place(output: Path, cache: Path, *, force: bool) -> tuple[list[DemoModel], list[Path]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=step_count())

        def announce(step: str) -> None:
            progress.update(task, description=step, advance=1)

        models = make_models(cache, force=force, announce=announce)
        return models, place_models(models, output, announce=announce)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ToolError(
            f"{folder}: expected a folder or a path that does not exist yet, found a file; name another one"
        )


def _as_json(output: Path, models: list[DemoModel], files: list[Path]) -> dict[str, Any]:
    return {
        "output": str(output),
        "models": [asdict(model) | {"path": str(model.path)} for model in models],
        "files": [str(file) for file in files],
    }
