"""Reads JSON so that every value knows where it stands, and whatever is wrong is told with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from router_backend.errors import ConfigurationError, nearest

Choice = TypeVar("Choice", bound=Enum)

LONGEST_SHOWN = 60
LONGEST_WHOLE_NUMBER = 18
OF_CHARACTERS = "of whole characters (an escape from \\ud800 to \\udfff alone is half of one)"


@dataclass(frozen=True, slots=True)
class _Object:
    """An object as it is written: json's own dictionary would keep only the last of two equal keys."""

    pairs: list[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class _NoNumber:
    """NaN or Infinity: Python reads them, JSON has no such thing."""

    text: str


@dataclass(frozen=True, slots=True)
class JsonNode:
    """A value of a JSON text.

    Args:
        source: where the text is from, most often the path of a file; for the messages.
        path: what leads to the value, as people write it: `routing_rules[0].policy`; empty: it is the whole.
        value: what it is.
    """

    source: str
    path: str
    value: object

    @property
    def place(self) -> str:
        """Where it stands in its source, for messages."""
        return self.path or "its top"

    def refusal(self, expected: str) -> ConfigurationError:
        """The error that says that this is not what was expected."""
        return ConfigurationError(
            f"{self.source}, at {self.place}: expected {expected}, found {_shown(self.value)}"
        )

    def about(self, error: ConfigurationError) -> ConfigurationError:
        """The same error, with this place before it."""
        return ConfigurationError(f"{self.source}, at {self.place}: {error}")

    def members(self, known: Sequence[str], required: Sequence[str] = ()) -> dict[str, JsonNode]:
        """The members of an object that may have only these keys.

        Raises:
            ConfigurationError: it is no object, or has an unknown key, one twice, or lacks a required one.
        """
        if not isinstance(self.value, _Object):
            raise self.refusal(f"an object with {', '.join(known)}")
        members = self.entries()
        for key in members:
            if key not in known:
                raise ConfigurationError(
                    f"{self.source}, at {self.place}: unknown key '{key}'{nearest(key, list(known))}: "
                    f"expected one of {', '.join(known)}"
                )
        for key in required:
            if key not in members:
                raise ConfigurationError(
                    f"{self.source}, at {self.place}: the key '{key}' is missing, found "
                    f"{', '.join(members) or 'none'}: add it"
                )
        return members

    def entries(self) -> dict[str, JsonNode]:
        """The members of an object, whatever their keys.

        Raises:
            ConfigurationError: it is no object, or has a key twice.
        """
        if not isinstance(self.value, _Object):
            raise self.refusal("an object")
        entries: dict[str, JsonNode] = {}
        for key, value in self.value.pairs:
            if _is_broken(key):
                raise JsonNode(self.source, self.path, key).refusal(f"a key {OF_CHARACTERS}")
            if key in entries:
                raise ConfigurationError(
                    f"{self.source}, at {self.place}: expected every key once, found '{key}' twice: "
                    f"remove one"
                )
            entries[key] = JsonNode(self.source, f"{self.path}.{key}" if self.path else key, value)
        return entries

    def items(self, expected: str, *, empty: bool = True) -> list[JsonNode]:
        """The items of a list.

        Args:
            expected: what there must be, for the message.
            empty: whether it may have none.

        Raises:
            ConfigurationError: it is no list, or has no items where it must have some.
        """
        if not isinstance(self.value, list) or not (empty or self.value):
            raise self.refusal(expected)
        return [
            JsonNode(self.source, f"{self.path}[{index}]", value) for index, value in enumerate(self.value)
        ]

    def text(self, expected: str) -> str:
        """A text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            raise self.refusal(expected)
        if _is_broken(self.value):
            raise self.refusal(f"text {OF_CHARACTERS}")
        return self.value

    def one_of(self, kind: type[Choice]) -> Choice:
        """The member of an enumeration that a text names."""
        known = [str(member.value) for member in kind]
        if self.value not in known:
            hint = nearest(self.value, known) if isinstance(self.value, str) else ""
            raise ConfigurationError(
                f"{self.source}, at {self.place}: expected one of {', '.join(known)}, "
                f"found {_shown(self.value)}{hint}"
            )
        return kind(self.value)

    def switch(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.refusal("true or false")
        return self.value

    def above_zero(self, expected: str) -> float:
        """A number above 0."""
        return self.number(expected, lambda number: number > 0.0)

    def number(self, expected: str, allows: Callable[[float], bool]) -> float:
        """A number that is allowed."""
        number = self._number()
        if number is None or not allows(number):
            raise self.refusal(expected)
        return number

    def count(self, expected: str) -> int:
        """A whole number, at least 1."""
        return int(self.number(expected, lambda number: number >= 1.0 and number.is_integer()))

    def _number(self) -> float | None:
        """The number that it is; None: it is none, or none that is finite."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            return None
        return float(self.value) if math.isfinite(self.value) else None


def parse_json(source: str, text: str) -> JsonNode:
    """Read a JSON text.

    Args:
        source: where it is from, for the messages.
        text: what it says.

    Raises:
        ConfigurationError: it is no JSON; the text says the line and the column.
    """
    try:
        value = json.loads(text, object_pairs_hook=_Object, parse_constant=_NoNumber, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{source}, line {error.lineno}, column {error.colno}: expected JSON, found {error.msg}"
        ) from None
    except RecursionError:
        raise ConfigurationError(f"{source}: expected JSON, found it nested too deep to be read") from None
    return JsonNode(source, "", value)


def as_json(value: object) -> str:
    """A value as JSON that people read."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _whole_number(text: str) -> float:
    """Python refuses whole numbers of thousands of digits; as a fraction they are infinite, and refused."""
    return int(text) if len(text) <= LONGEST_WHOLE_NUMBER else float(text)


def _shown(value: object) -> str:
    """A value in a message; of a long one the beginning."""
    if isinstance(value, _Object):
        return "an object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, _NoNumber):
        return value.text
    text = f"'{_printable(value)}'" if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _printable(text: str) -> str:
    """A text with its halves of characters as they are escaped: as such they could not be printed."""
    return text.encode(errors="backslashreplace").decode()


def _is_broken(text: str) -> bool:
    return _printable(text) != text
