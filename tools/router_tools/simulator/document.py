"""Reads a data file: JSON that a schema describes; whatever is wrong is told with file, line and field."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from router_backend.path_kind import REGULAR_FILE, path_kind
from router_tools.errors import ToolError
from router_tools.simulator.json_flaws import decode, find_flaw
from router_tools.simulator.json_position import line_of

_KINDS = {
    "object": "an object",
    "array": "a list",
    "integer": "a whole number",
    "boolean": "true or false",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
_LONGEST_FOUND = 60
_VALIDATOR: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    # JSON Schema takes 1e30 and 2.0 for whole numbers; who counts with them does not.
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
_SCHEMAS = Path(__file__).parent / "schemas"


@dataclass(frozen=True)
class Document:
    """A valid data file.

    Args:
        path: where it is.
        text: what it says.
        content: the same, decoded.
    """

    path: Path
    text: str
    content: dict[str, Any]

    def error(self, where: Sequence[str | int], message: str) -> ToolError:
        """An error about one of its fields.

        Args:
            where: the keys and indices that lead to the field.
            message: what was expected and what was found.
        """
        return ToolError(f"{self.path}, line {line_of(self.text, where)}: {field_name(where)}: {message}")


def read_document(path: Path, schema: str) -> Document:
    """Read a file and hold it against `schemas/<schema>.schema.json`.

    Raises:
        ToolError: it cannot be read, is no JSON, or is not what the schema says.
    """
    text = read_text(path)
    try:
        content: Any = decode(text)
        problem = find_problem(content, schema)
    except json.JSONDecodeError as error:
        raise ToolError(
            f"{path}, line {error.lineno}, column {error.colno}: expected JSON, found {error.msg}"
        ) from error
    except RecursionError:
        raise ToolError(f"{path}: expected JSON, found it nested too deep to be read") from None
    document = Document(path, text, content)
    if problem is not None:
        raise document.error(*problem)
    return document


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ToolError: it cannot be read, is no regular file, or is not UTF-8.
    """
    kind = path_kind(path)
    if kind != REGULAR_FILE:
        raise ToolError(f"{path}: expected a file, found {kind}")
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ToolError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ToolError(f"{path}: expected UTF-8 text, found byte {error.start} that is not") from error


def find_problem(content: Any, schema: str) -> tuple[list[str | int], str] | None:
    """The field that breaks a schema worst, and what was expected and found there; None: it is valid.

    Raises:
        RecursionError: it is nested too deep.
    """
    flaw = find_flaw(content)
    if flaw is not None:
        return flaw
    error = best_match(_validator(schema).iter_errors(content))
    return None if error is None else (list(error.absolute_path), _explain(error))


def field_name(where: Sequence[str | int]) -> str:
    """A path as people write it: `variants[0].service`."""
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
    return name.removeprefix(".") or "the document"


@cache
def _validator(schema: str) -> Draft202012Validator:
    return _VALIDATOR(json.loads((_SCHEMAS / f"{schema}.schema.json").read_text(encoding="utf-8")))


def _explain(error: ValidationError) -> str:
    return f"expected {_expected(error)}, found {_found(error)}"


def _expected(error: ValidationError) -> str:
    keyword, value = str(error.validator), error.validator_value
    if keyword in _BOUNDS:
        return f"{_BOUNDS[keyword]} {value}"
    match keyword:
        case "type":
            return _KINDS.get(str(value), f"a {value}")
        case "enum":
            return f"one of {', '.join(map(str, _listed(value)))}"
        case "required":
            missing = [name for name in _listed(value) if name not in _listed(error.instance)]
            return f"the field '{missing[0]}'"
        case "additionalProperties":
            return f"only {', '.join(_fields(error))}"
        case "minProperties" | "maxProperties" if _fields(error):
            return f"exactly one of {', '.join(_fields(error))}"
        case "minProperties" | "minItems" | "minLength":
            return "something in it"
        case "pattern":
            return "a whole number above 0, of 9 digits at most, as a name"
        case _:
            return f"{keyword} {value}"


def _found(error: ValidationError) -> str:
    match error.validator:
        case "additionalProperties":
            unknown = [name for name in _listed(error.instance) if name not in _fields(error)]
            return f"'{unknown[0]}'"
        case "required" | "minProperties" | "maxProperties":
            return ", ".join(_listed(error.instance)) or "none"
        case _:
            text = json.dumps(error.instance)
            return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}…"


def _fields(error: ValidationError) -> list[str]:
    """The fields that an object of the schema which is broken may have."""
    return _listed(error.schema.get("properties", ())) if isinstance(error.schema, dict) else []


def _listed(names: Any) -> list[str]:
    return list(names)
