"""Reads a record of settings from texts, such as the `parameters` of a config.pbtxt."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from enum import Enum
from typing import Any, TypeVar

from router_backend.errors import ConfigurationError, UnknownNameError, nearest

Record = TypeVar("Record")
Choice = TypeVar("Choice", bound=Enum)

# These belong to Triton's Python backend, which reads them from the parameters of every model that it runs.
KEYS_OF_TRITON = frozenset({"EXECUTION_ENV_PATH", "FORCE_CPU_ONLY_INPUT_TENSORS"})


def setting(read: Callable[[str], Any], expected: str, **default: Any) -> Any:
    """A field of a record that is read from the text of its name.

    Args:
        read: makes the value of a text without space around it; raises ValueError where it cannot, an
            UnknownNameError where a name may be misspelt.
        expected: what a text must be, for the messages.
        default: `default=` what it is where there is no text; without it there must be one.
    """
    return field(metadata={"read": read, "expected": expected}, **default)


def one_of(kind: type[Choice]) -> Callable[[str], Choice]:
    """Reads the member of an enumeration that a text names."""
    known = [str(member.value) for member in kind]

    def read(text: str) -> Choice:
        if text not in known:
            raise UnknownNameError(text, known)
        return kind(text)

    return read


def read_settings(kind: type[Record], where: str, texts: Mapping[str, str]) -> Record:
    """Make a record whose fields are all `setting`s.

    Args:
        kind: the record's class, a dataclass.
        where: the place that the texts are from, for the messages.
        texts: by field; what belongs to Triton itself is left alone.

    Raises:
        ConfigurationError: an unknown or missing text, or one that cannot be read.
    """
    known: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    own = {key: text for key, text in texts.items() if key not in KEYS_OF_TRITON}
    for key in own:
        if key not in known:
            raise ConfigurationError(
                f"{where}: unknown parameter '{key}'{nearest(key, list(known))}: "
                f"expected one of {', '.join(known)}"
            )
    for key, each in known.items():
        if each.default is MISSING and key not in own:
            raise ConfigurationError(
                f"{where}: the parameter '{key}' is missing: expected {each.metadata['expected']}"
            )
    return kind(**{key: _read(where, known[key], text) for key, text in own.items()})


def _read(where: str, known: Field[Any], text: str) -> Any:
    try:
        return known.metadata["read"](text.strip())
    except ValueError as error:
        hint = error.hint if isinstance(error, UnknownNameError) else ""
        raise ConfigurationError(
            f"{where}, parameter '{known.name}': expected {known.metadata['expected']}, found '{text}'{hint}"
        ) from None
