"""Turns JSON and texts into typed structures, and reports everything that is wrong with them."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from msgspec import UNSET, Struct, inspect

from router_backend.config.words import (
    expected_of,
    fix_of,
    is_whole,
    keys_of,
    names_of,
    printable,
    shown,
    without_null,
)
from router_backend.errors import ConfigurationError, Problem, Problems, join_path, nearest
from router_backend.path_kind import REGULAR_FILE, path_kind

Structure = TypeVar("Structure")

INVALID = object()
LONGEST_WHOLE_NUMBER = 18
SWITCH = {"true": True, "false": False}
KEYS_OF_TRITON = frozenset({"EXECUTION_ENV_PATH", "FORCE_CPU_ONLY_INPUT_TENSORS"})
"""Parameters of Triton's Python backend, which it reads from every model that it runs."""


class _Repeated(dict[str, object]):
    """An object with a key that stands in it more than once."""

    key = ""


def read_bytes(path: Path, expected: str) -> bytes:
    """Return the content of a regular file: a device or a pipe may have no end.

    Raises:
        ConfigurationError: there is no such file, or it cannot be read.
    """
    kind = path_kind(path)
    if kind != REGULAR_FILE:
        raise ConfigurationError(where=str(path), expected=expected, found=kind)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            where=str(path), expected="a readable file", found=str(error.strerror)
        ) from None


def decode_text(where: str, content: bytes) -> str:
    """Return the text in the content of a file.

    Raises:
        ConfigurationError: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            where=where,
            expected="text in UTF-8",
            found=f"another byte at {error.start}",
            fix="save it as UTF-8",
        ) from None


def decode_json(where: str, text: str, line: int = 1) -> object:
    """Return the value of a JSON text; `load` reports keys that it repeats and numbers that are not finite.

    Args:
        where: the file that it is from, for the messages.
        text: the text.
        line: the line of the file on which it begins.

    Raises:
        ConfigurationError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        where = f"{where}, line {line + error.lineno - 1}, column {error.colno}"
        raise ConfigurationError(where=where, expected="JSON", found=f"an error: {error.msg}") from None
    except RecursionError:
        where = f"{where}, line {line}" if line > 1 else where
        raise ConfigurationError(where=where, expected="JSON", found="too many nested brackets") from None


def load(kind: type[Structure], value: object, where: str = "") -> Structure:
    """Return a structure made from a decoded value.

    Args:
        kind: its class, declared with msgspec.
        value: dictionaries, lists, texts, numbers.
        where: what the value is from, for the messages.

    Raises:
        ConfigurationError: every problem of the value, each with its path.
    """
    loader = _Loader()
    loaded: Structure = loader.load(describe_type(kind), value, "")  # type: ignore[arg-type]  # hashable
    if loader.problems:
        raise ConfigurationError(*loader.problems).at(where)
    return loaded


def load_texts(kind: type[Structure], texts: Mapping[str, object], where: str = "") -> Structure:
    """Return a structure made from texts by key, such as the parameters of a config.pbtxt.

    Args:
        kind: its class, declared with msgspec.
        texts: by key; those that belong to Triton are left out.
        where: what they are from, for the messages.

    Raises:
        ConfigurationError: every problem of the texts, each with its key.
    """
    known = {each.encode_name: each for each in fields_of(kind)}
    own = {key: text for key, text in texts.items() if key not in KEYS_OF_TRITON}
    values = {key: parse_text(known[key].type, text) if key in known else text for key, text in own.items()}
    return load(kind, values, where)


def given(structure: Struct) -> dict[str, Any]:
    """Return the members of a structure that were not left out."""
    values = ((name, getattr(structure, name)) for name in structure.__struct_fields__)
    return {name: value for name, value in values if value is not UNSET}


def fields_of(kind: type) -> Sequence[inspect.Field]:
    """Return the fields of a structure."""
    described = describe_type(kind)
    assert isinstance(described, inspect.StructType)
    return described.fields


@cache
def _fields_by_name(kind: type) -> dict[str, inspect.Field]:
    return {each.encode_name: each for each in fields_of(kind)}


@cache
def _required(kind: type) -> tuple[str, ...]:
    return tuple(each.encode_name for each in fields_of(kind) if each.required)


@cache
def describe_type(kind: Any) -> inspect.Type:
    """Return msgspec's description of a type."""
    return inspect.type_info(kind)


def parse_text(kind: inspect.Type, text: object) -> object:
    """Return what a text stands for: a number, a list with commas between, `name=value` pairs.

    What cannot be read stays the text that it is, for `load` to refuse.
    """
    if isinstance(kind, inspect.Metadata):
        is_empty = isinstance(text, str) and text == (kind.extra or {}).get("none")
        return [] if is_empty else parse_text(kind.type, text)
    if isinstance(kind, inspect.UnionType):
        return parse_text(without_null(kind), text)
    if isinstance(text, int) and not isinstance(text, bool) and isinstance(kind, inspect.StrType):
        return str(text)
    if not isinstance(text, str):
        return text
    text = text.strip()
    if isinstance(kind, inspect.VarTupleType | inspect.FrozenSetType):
        return [parse_text(kind.item_type, part) for part in text.split(",")]
    if isinstance(kind, inspect.DictType):
        return _parse_pairs(kind, text)
    if isinstance(kind, inspect.StructType):
        parts = zip(kind.fields, text.split("=", 1), strict=False)
        return {each.name: parse_text(each.type, part) for each, part in parts}
    if isinstance(kind, inspect.BoolType):
        return SWITCH.get(text, text)
    return _parse_number(kind, text)


class _Loader:
    """Walks through a value along its type and collects the problems."""

    def __init__(self) -> None:
        self.problems = Problems()

    def load(self, kind: inspect.Type, value: Any, path: str, outer: inspect.Type | None = None) -> Any:
        """Return what a value stands for, or `INVALID` after problems were added.

        Args:
            kind: the type.
            value: the value.
            path: of the value.
            outer: the type as it was declared, with its words and bounds; `None`: the same.
        """
        outer = outer or kind
        before = len(self.problems)
        match kind:
            case inspect.Metadata(type=inner):
                loaded: Any = self.load(inner, value, path, outer)
            case inspect.UnionType():
                loaded = None if value is None else self.load(without_null(kind), value, path, outer)
            case inspect.StructType() if isinstance(value, dict):
                loaded = self._structure(kind, value, path)
            case inspect.DictType() if _is_long(kind, value, dict):
                loaded = self._mapping(kind, value, path)
            case inspect.VarTupleType() if _is_long(kind, value, list):
                loaded = tuple(self._items([kind.item_type] * len(value), value, path))
            case inspect.FrozenSetType() if _is_long(kind, value, list):
                loaded = frozenset(self._items([kind.item_type] * len(value), value, path))
            case inspect.TupleType(item_types=types) if isinstance(value, list) and len(value) == len(types):
                loaded = tuple(self._items(types, value, path))
            case _:
                loaded = self._value(kind, value, path, outer)
        return loaded if len(self.problems) == before else INVALID

    def _items(self, kinds: Sequence[inspect.Type], values: Sequence[object], path: str) -> list[Any]:
        pairs = enumerate(zip(kinds, values, strict=True))
        return [self.load(kind, value, f"{path}[{index}]") for index, (kind, value) in pairs]

    def _structure(self, kind: inspect.StructType, value: dict[str, Any], path: str) -> Any:
        known = _fields_by_name(kind.cls)
        before = len(self.problems)
        self._check_repeated(value, path)
        for key in filter(lambda key: key not in known, value):
            expected, found = f"only {', '.join(keys_of(kind))}", f"unknown key '{printable(key)}'"
            self._add(Problem(path=path, expected=expected, found=found, hint=nearest(key, known)))
        for key in filter(lambda key: key not in value, _required(kind.cls)):
            expected = f"the key '{key}' ({expected_of(known[key].type)})"
            found = f"only {', '.join(map(printable, value))}" if value else "no keys"
            self._add(Problem(path=path, expected=expected, found=found, fix="add it"))
        members = {
            known[key].name: self.load(known[key].type, member, join_path(path, key))
            for key, member in value.items()
            if key in known
        }
        if len(self.problems) == before:
            with self.problems.collect(path=path):
                return kind.cls(**members)
        return INVALID

    def _mapping(self, kind: inspect.DictType, value: dict[str, Any], path: str) -> dict[Any, Any]:
        self._check_repeated(value, path)
        loaded = {}
        for key, member in value.items():
            place = join_path(path, printable(key))
            name = self.load(kind.key_type, parse_text(kind.key_type, key), place)
            loaded[name] = self.load(kind.value_type, member, place)
        return loaded

    def _value(self, kind: inspect.Type, value: Any, path: str, outer: inspect.Type) -> Any:
        if isinstance(value, str) and not value.isascii() and printable(value) != value:
            expected = r"whole characters (\ud800 to \udfff alone are halves)"
            return self._add(Problem(path=path, expected=expected, found=shown(value)))
        if isinstance(kind, inspect.EnumType | inspect.LiteralType):
            return self._name(kind, value, path)
        if not _accepts(kind, value):
            return self._add(
                Problem(path=path, expected=expected_of(outer), found=shown(value), fix=fix_of(outer))
            )
        if isinstance(kind, inspect.FloatType | inspect.CustomType):
            return _number(kind, value) if isinstance(kind, inspect.FloatType) else kind.cls(value)
        return value

    def _name(self, kind: inspect.EnumType | inspect.LiteralType, value: object, path: str) -> Any:
        known = names_of(kind)
        if value in known:
            return kind.cls(value) if isinstance(kind, inspect.EnumType) else value
        hint = nearest(value, known) if isinstance(value, str) else ""
        return self._add(Problem(path=path, expected=expected_of(kind), found=shown(value), hint=hint))

    def _check_repeated(self, value: dict[str, Any], path: str) -> None:
        if isinstance(value, _Repeated):
            key = printable(value.key)
            place = join_path(path, key)
            self._add(
                Problem(path=place, expected="every key once", found=f"'{key}' twice", fix="remove one")
            )

    def _add(self, problem: Problem) -> Any:
        self.problems.append(problem)
        return INVALID


def _is_long(kind: Any, value: Any, container: type[dict[str, Any] | list[Any]]) -> bool:
    return isinstance(value, container) and len(value) >= (kind.min_length or 0)


def _accepts(kind: inspect.Type, value: object) -> bool:
    match kind:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType() | inspect.FloatType():
            types = int if isinstance(kind, inspect.IntType) else (int, float)
            return isinstance(value, types) and not isinstance(value, bool) and _is_within(kind, value)
        case inspect.StrType(min_length=at_least, pattern=pattern):
            is_long = isinstance(value, str) and len(value) >= (at_least or 0)
            return is_long and (pattern is None or re.search(pattern, str(value)) is not None)
        case inspect.CustomType():
            return isinstance(value, str) and value != ""
        case _:
            return False


def _number(kind: inspect.FloatType, value: float) -> float:
    return int(value) if is_whole(kind) else float(value)


def _is_within(kind: inspect.IntType | inspect.FloatType, value: float) -> bool:
    return (
        math.isfinite(value)
        and (kind.gt is None or value > kind.gt)
        and (kind.ge is None or value >= kind.ge)
        and (kind.lt is None or value < kind.lt)
        and (kind.le is None or value <= kind.le)
        and (not is_whole(kind) or float(value).is_integer())
    )


def _parse_pairs(kind: inspect.DictType, text: str) -> object:
    pairs: dict[str, object] = {}
    for part in text.split(","):
        name, _, value = (each.strip() for each in part.partition("="))
        if not name or not value or name in pairs:
            return text
        pairs[name] = parse_text(kind.value_type, value)
    return pairs


def _parse_number(kind: inspect.Type, text: str) -> object:
    if isinstance(kind, inspect.IntType) and re.fullmatch(rf"[+-]?[0-9]{{1,{LONGEST_WHOLE_NUMBER}}}", text):
        return int(text)
    if isinstance(kind, inspect.FloatType):
        try:
            return float(text) if math.isfinite(float(text)) else text
        except ValueError:
            return text
    return text


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeated = _Repeated(members)
    keys = [key for key, _ in pairs]
    repeated.key = next(key for key in keys if keys.count(key) > 1)
    return repeated


def _whole_number(text: str) -> float:
    """Python refuses whole numbers of thousands of digits; as floats they are infinite, and refused."""
    return int(text) if len(text) <= LONGEST_WHOLE_NUMBER else float(text)
