"""What is installed, and what it requires."""

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

NAME = "triton-model-router"
LIBRARY = "libtriton_router_backend.so"


def installed_files() -> dict[str, Path]:
    """The files of the wheel by their names in site-packages, without what pip compiled."""
    files = metadata.files(NAME) or []
    return {str(file): Path(str(file.locate())) for file in files if file.suffix != ".pyc"}


def required(extra: str = "") -> set[str]:
    """The distributions that are installed with this one, itself included."""
    found: set[tuple[str, str]] = set()
    open_ends = {(NAME, extra)}
    while open_ends:
        found |= open_ends
        open_ends = {each for name, extra in open_ends for each in _required_by(name, extra)} - found
    return {name for name, _ in found}


def _required_by(name: str, extra: str) -> set[tuple[str, str]]:
    requirements = map(Requirement, metadata.requires(name) or [])
    wanted = [each for each in requirements if each.marker is None or each.marker.evaluate({"extra": extra})]
    return {(each.name, extra) for each in wanted for extra in ("", *each.extras)}
