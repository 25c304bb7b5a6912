"""Reads a data file of the simulator: JSON of a type of `schema`; errors have file, line and field."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from router_backend.errors import ConfigurationError, Problem
from router_backend.path_kind import decode_text, read_bytes
from router_backend.typed_load import decode_json, load
from router_tools.errors import ToolError
from router_tools.simulator.json_position import line_of

Content = TypeVar("Content")

STEP = re.compile(r"\[(?P<index>\d+)\]|(?P<key>[^.\[\]]+)")


@dataclass(frozen=True)
class Document(Generic[Content]):
    """A valid data file.

    Args:
        path: where it is.
        text: its text.
        content: the same, read.
    """

    path: Path
    text: str
    content: Content

    def error(self, path: str, expected: str, found: str) -> ToolError:
        """Return an error about one of its fields, such as `cases[0].targets[1].policy`."""
        return ToolError(
            str(_located(self.path, self.text, Problem(path=path, expected=expected, found=found)))
        )


def read_document(path: Path, kind: type[Content]) -> Document[Content]:
    """Read a file of a type.

    Raises:
        ToolError: it cannot be read, is not JSON, or everything that is wrong in it.
    """
    text = read_text(path)
    try:
        value = decode_json(str(path), text)
    except ConfigurationError as error:
        raise ToolError(str(error)) from None
    try:
        return Document(path, text, load(kind, value))
    except ConfigurationError as error:
        problems = [_located(path, text, problem) for problem in error.problems]
        raise ToolError("\n".join(map(str, problems))) from None


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ToolError: it cannot be read, is not a regular file, or is not UTF-8.
    """
    try:
        return decode_text(str(path), read_bytes(path, "a file"))
    except ConfigurationError as error:
        raise ToolError(str(error)) from None


def _located(path: Path, text: str, problem: Problem) -> Problem:
    steps = [int(step["index"]) if step["index"] else step["key"] for step in STEP.finditer(problem.path)]
    return replace(problem, where=f"{path}, line {line_of(text, steps)}")
