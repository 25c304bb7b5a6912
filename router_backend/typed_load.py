"""Turn JSON and texts into msgspec structures, and report everything that is wrong with them.

msgspec validates, and stops at the first problem; the others are found by converting each member of a value
that it rejects. What a setting must be is said in words made from its type.
"""

import json
import math
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import UNSET, Struct, UnsetType, ValidationError, convert, inspect

from router_backend.errors import ConfigurationError, Problem, join_path, nearest

Loaded = TypeVar("Loaded")

LONGEST_SHOWN = 60
LONGEST_WHOLE_NUMBER = 18
WHOLE_NUMBER = re.compile(rf"[+-]?[0-9]{{1,{LONGEST_WHOLE_NUMBER}}}")
_ONE_AT_A_TIME = threading.RLock()
"""msgspec prepares a structure at its first use, and crashes if a second thread uses it meanwhile (0.22)."""
SWITCH = {"true": True, "false": False}
KEYS_OF_TRITON = frozenset({"EXECUTION_ENV_PATH", "FORCE_CPU_ONLY_INPUT_TENSORS"})
"""Parameters that Triton's Python backend reads from the config.pbtxt of every model."""


class Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all groups of settings: unknown keys are rejected, and defaults are not written."""

    TOGETHER: ClassVar[frozenset[str]] = frozenset()
    """The keys that `__post_init__` looks at. It must accept UNSET for every other one."""


@dataclass(frozen=True, slots=True)
class _Invalid:
    """Replaces a value that no type may accept, so that it is reported at its place."""

    found: str
    expected: str = ""
    fix: str = ""


def decode_json(where: str, text: str, line: int = 1) -> object:
    """Return the value of a JSON text from `line` of a file on; `load` reports the keys that it repeats.

    Raises:
        ConfigurationError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        where = f"{where}, line {line + error.lineno - 1}, column {error.colno}"
        raise ConfigurationError(where=where, expected="JSON", found=f"an error: {error.msg}") from None
    except RecursionError:
        raise _nested_too_deeply(f"{where}, line {line}" if line > 1 else where) from None


def load(kind: type[Loaded], value: object, where: str = "") -> Loaded:
    """Return a structure made from a decoded value: dictionaries, lists, texts, numbers.

    Its class is declared with msgspec; every structure in it is a `Section`. Messages say `where` it is from.

    Raises:
        ConfigurationError: every problem of the value, each with its path.
    """
    try:
        value = _checked(value)
        loaded: Loaded = _convert(kind, value)
    except RecursionError:
        raise _nested_too_deeply(where) from None
    except (ConfigurationError, ValidationError):
        raise ConfigurationError(*_problems(kind, value, "")).at(where) from None
    return loaded


def load_texts(kind: type[Loaded], texts: Mapping[str, object], where: str = "") -> Loaded:
    """Return a structure made from texts by key, such as the parameters of a config.pbtxt, as `load` does.

    Texts that belong to Triton are left out.

    Raises:
        ConfigurationError: every problem of the texts, each with its key.
    """
    known = fields_of(kind)  # type: ignore[arg-type]  # a class is hashable
    own = {key: text for key, text in texts.items() if key not in KEYS_OF_TRITON}
    values = {key: parse_text(known[key].type, text) if key in known else text for key, text in own.items()}
    return load(kind, values, where)


def given(structure: Struct) -> dict[str, Any]:
    """Return the members of a structure that were not left out."""
    values = ((name, getattr(structure, name)) for name in structure.__struct_fields__)
    return {name: value for name, value in values if value is not UNSET}


@cache
def fields_of(kind: type) -> dict[str, inspect.Field]:
    """Return the fields of a structure by their keys, the required ones first."""
    described = _describe(kind)
    assert isinstance(described, inspect.StructType)
    return {each.encode_name: each for each in sorted(described.fields, key=lambda each: not each.required)}


def names_of(kind: inspect.EnumType | inspect.LiteralType) -> list[str]:
    """Return the names that a setting may have."""
    values = [each.value for each in kind.cls] if isinstance(kind, inspect.EnumType) else kind.values
    return list(map(str, values))


def parse_text(kind: inspect.Type, text: object) -> object:
    """Return what a text stands for: a number, a list with commas between, `name=value` pairs.

    What cannot be read stays as it is, for `load` to reject. (msgspec's `strict=False` would read "1" as true
    and "7.0" as a whole number.)
    """
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            return [] if text == (extra or {}).get("none", UNSET) else parse_text(inner, text)
        case inspect.UnionType():
            return parse_text(_without_null(kind), text)
        case _ if not isinstance(text, str):  # keys and the like are often numbers
            return str(text) if type(text) is int and isinstance(kind, inspect.StrType) else text
        case inspect.StrType() | inspect.EnumType():
            return text.strip()
        case inspect.VarTupleType(item_type=item) | inspect.FrozenSetType(item_type=item):
            return [parse_text(item, part) for part in text.split(",")]
        case inspect.DictType(value_type=member):
            return _parse_pairs(member, text)
        case inspect.StructType(fields=fields):
            parts = zip(fields, text.split("=", 1), strict=False)
            return {each.encode_name: parse_text(each.type, part) for each, part in parts}
    return _parse_scalar(kind, text.strip())


def shown(value: object) -> str:
    """Return a value as it appears in a message; of a long one the beginning."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = f"'{_printable(value)}'" if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _nested_too_deeply(where: str) -> ConfigurationError:
    return ConfigurationError(where=where, expected="JSON", found="too many nested brackets")


def _describe(kind: Any) -> inspect.Type:
    with _ONE_AT_A_TIME:
        return inspect.type_info(kind)


def _convert(kind: Any, value: object) -> Any:
    with _ONE_AT_A_TIME:
        return convert(value, kind, str_keys=True, dec_hook=_file_path)


def _file_path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValidationError


def _problems(kind: Any, value: object, path: str) -> list[Problem]:
    """Return what is wrong with a value: its keys and members, or else the value as a whole."""
    try:
        _convert(kind, value)
    except (ConfigurationError, ValidationError) as error:
        if isinstance(error, ValidationError) and error.__cause__:  # msgspec takes a policy's defect for it
            raise error.__cause__ from None
        found = _key_problems(kind, value, path)
        found += [each for member in _members(kind, value, path) for each in _problems(*member)]
        found += _problems_together(kind, value, path) if found else []
        if not found and isinstance(error, ConfigurationError):
            found += error.at(path=path).problems
        return found or [_wrong_value(_describe(kind), value, path)]
    return []


def _problems_together(kind: Any, value: object, path: str) -> list[Problem]:
    """Return what is wrong with members that are right on their own, beside a member that is wrong."""
    section = _plain(kind)
    if not isinstance(value, dict) or not _is_section(section) or not section.TOGETHER:
        return []
    hints, known = get_type_hints(section, include_extras=True), fields_of(section)
    names = {key: known[key].name for key in section.TOGETHER & value.keys()}
    members = dict.fromkeys((each.name for each in known.values() if each.required), UNSET)
    try:
        members |= {name: _convert(hints[name], value[key]) for key, name in names.items()}
    except (ConfigurationError, ValidationError):
        return []  # reported already
    try:
        section(**members)
    except ConfigurationError as error:
        return list(error.at(path=path).problems)
    return []


def _key_problems(kind: Any, value: object, path: str) -> list[Problem]:
    section = _plain(kind)
    if not isinstance(value, dict) or not _is_section(section):
        return []
    known = fields_of(section)
    names, keys = ", ".join(known), f"only {', '.join(value)}" if value else "no keys"
    unknown = [
        Problem(expected="a known key", found=f"'{key}'", hint=nearest(key, known), fix=f"use one of {names}")
        for key in value
        if key not in known
    ]
    missing = [
        Problem(expected=f"the key '{key}' ({_expected(each.type)})", found=keys, fix="add it")
        for key, each in known.items()
        if each.required and key not in value
    ]
    return [each.at(path=path) for each in (*unknown, *missing)]


def _members(kind: Any, value: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """Return the members of an object or a list that can be converted on their own: type, value, path."""
    plain = _plain(kind)
    arguments = get_args(plain)
    if isinstance(value, dict) and _is_section(plain):
        hints, known = get_type_hints(plain, include_extras=True), fields_of(plain)
        for key in filter(known.__contains__, value):
            yield hints[known[key].name], value[key], join_path(path, key)
    elif isinstance(value, dict) and get_origin(plain) is Mapping:
        for key, member in value.items():
            place = join_path(path, key)
            yield arguments[0], parse_text(_describe(arguments[0]), key), place
            yield arguments[1], member, place
    elif isinstance(value, list) and get_origin(plain) in (tuple, frozenset):
        for index, member in enumerate(value):  # all items of a list have the type of the first
            yield arguments[0], member, f"{path}[{index}]"


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _plain(kind: Any) -> Any:
    """Return a type without what is declared beside it, and without null."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _plain(next(each for each in get_args(kind) if each not in (NoneType, UnsetType)))
    return kind


def _without_null(kind: inspect.UnionType) -> inspect.Type:
    return next(each for each in kind.types if not isinstance(each, inspect.NoneType))


def _wrong_value(kind: inspect.Type, value: object, path: str) -> Problem:
    if isinstance(value, _Invalid):
        expected = value.expected or _expected(kind)
        return Problem(path=path, expected=expected, found=value.found, fix=value.fix or _fix(kind))
    names = names_of(kind) if isinstance(kind, inspect.EnumType | inspect.LiteralType) else []
    hint = nearest(value, names) if isinstance(value, str) else ""
    return Problem(path=path, expected=_expected(kind), found=shown(value), hint=hint, fix=_fix(kind))


def _fix(kind: inspect.Type) -> str:
    """Return what to do about a wrong value of a type, if its declaration says so."""
    if isinstance(kind, inspect.UnionType):
        return _fix(_without_null(kind))
    return str((kind.extra or {}).get("fix", "")) if isinstance(kind, inspect.Metadata) else ""


def _expected(kind: inspect.Type) -> str:
    """Return what a value of a type must be, in words."""
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            unit = f" of {extra['unit']}" if extra and "unit" in extra else ""
            words = _expected(inner).replace("number", f"number{unit}", 1)
            return str((extra or {}).get("expected", words))
        case inspect.UnionType():
            return f"{_expected(_without_null(kind))}, or null"
        case inspect.StructType() | inspect.DictType():
            return _expected_object(kind)
        case inspect.TupleType(item_types=kinds):
            return f"a list of {len(kinds)} items, each {_expected(kinds[0])}"
        case inspect.VarTupleType() | inspect.FrozenSetType():
            items = "one or more items" if kind.min_length else "items"
            return f"a list of {items}, each {_expected(kind.item_type)}"
        case inspect.EnumType() | inspect.LiteralType():
            return f"one of {', '.join(names_of(kind))}"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            return _expected_number(kind)
    return "text"


def _expected_object(kind: inspect.StructType | inspect.DictType) -> str:
    if isinstance(kind, inspect.StructType):
        return f"an object with {', '.join(fields_of(kind.cls))}"
    if isinstance(kind.key_type, inspect.EnumType):
        return f"an object with {', '.join(names_of(kind.key_type))}"
    return "an object with at least one key" if kind.min_length else "an object"


def _expected_number(kind: inspect.IntType | inspect.FloatType) -> str:
    is_whole = isinstance(kind, inspect.IntType) or kind.multiple_of == 1
    number = "a whole number" if is_whole else "a number"
    if kind.ge is not None and kind.le is not None:
        return f"{number} from {kind.ge:.15g} to {kind.le:.15g}"
    if kind.gt is not None and kind.lt is not None:
        return f"{number} between {kind.gt:.15g} and {kind.lt:.15g}"
    bounds = (("above", kind.gt), ("of at least", kind.ge), ("below", kind.lt), ("up to", kind.le))
    words = " and ".join(f"{word} {bound:.15g}" for word, bound in bounds if bound is not None)
    return f"{number} {words}".strip()


def _parse_scalar(kind: inspect.Type, text: str) -> object:
    try:
        if isinstance(kind, inspect.BoolType):
            return SWITCH[text]
        if isinstance(kind, inspect.IntType):
            return int(text) if WHOLE_NUMBER.fullmatch(text) else text
        return float(text) if isinstance(kind, inspect.FloatType) and math.isfinite(float(text)) else text
    except (KeyError, ValueError):
        return text


def _parse_pairs(kind: inspect.Type, text: str) -> object:
    pairs: dict[str, object] = {}
    for part in text.split(","):
        name, _, value = (each.strip() for each in part.partition("="))
        if not name or not value or name in pairs:
            return text
        pairs[name] = parse_text(kind, value)
    return pairs


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object; a key that it has twice gets a value that is rejected."""
    members: dict[str, object] = {}
    for key, value in pairs:
        twice = _Invalid(expected="every key once", found=f"'{_printable(key)}' twice", fix="remove one")
        members[key] = twice if key in members else value
    return members


def _whole_number(text: str) -> float:
    """Python refuses whole numbers of thousands of digits; as floats they are infinite, and rejected."""
    return int(text) if len(text) <= LONGEST_WHOLE_NUMBER else float(text)


def _checked(value: Any) -> Any:
    """Return a value in which everything is invalid that JSON cannot hold, or that cannot be printed."""
    if isinstance(value, dict):
        return {_printable(key): _checked(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_checked, value))
    if isinstance(value, float) and not math.isfinite(value):
        return _Invalid(json.dumps(value))
    if isinstance(value, str) and not value.isascii() and _printable(value) != value:
        return _Invalid(found=shown(value), expected=r"whole characters (\ud800 to \udfff alone are halves)")
    return value


def _printable(text: str) -> str:
    """Return a text with its halves of characters escaped: as such they could not be printed."""
    return text.encode(errors="backslashreplace").decode()
