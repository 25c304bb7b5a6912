"""Says in words what a setting must be and what was found, for messages and docs."""

import json

from msgspec import inspect

LONGEST_SHOWN = 60


def expected_of(kind: inspect.Type) -> str:
    """Return what a value of a type must be, in words."""
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            unit = f" of {extra['unit']}" if extra and "unit" in extra else ""
            words = expected_of(inner)
            return (extra or {}).get("expected", "") or words.replace("number", f"number{unit}", 1)
        case inspect.StructType() | inspect.DictType():
            return _expected_object(kind)
        case inspect.TupleType(item_types=kinds):
            return f"a list of {len(kinds)} items, each {expected_of(kinds[0])}"
        case inspect.VarTupleType() | inspect.FrozenSetType():
            items = "one or more items" if kind.min_length else "items"
            return f"a list of {items}, each {expected_of(kind.item_type)}"
        case inspect.EnumType() | inspect.LiteralType():
            return f"one of {', '.join(names_of(kind))}"
        case inspect.UnionType():
            return f"{expected_of(without_null(kind))}, or null"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            return _expected_number(kind)
        case _:
            return "text"


def fix_of(kind: inspect.Type) -> str:
    """Return what to do about a wrong value of a type, if its declaration says so."""
    if isinstance(kind, inspect.UnionType):
        return fix_of(without_null(kind))
    return str((kind.extra or {}).get("fix", "")) if isinstance(kind, inspect.Metadata) else ""


def shown(value: object) -> str:
    """Return a value as it appears in a message; of a long one the beginning."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = f"'{printable(value)}'" if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _expected_object(kind: inspect.StructType | inspect.DictType) -> str:
    if isinstance(kind, inspect.StructType):
        return f"an object with {', '.join(keys_of(kind))}"
    if isinstance(kind.key_type, inspect.EnumType):
        return f"an object with {', '.join(names_of(kind.key_type))}"
    return "an object with at least one key" if kind.min_length else "an object"


def is_whole(kind: inspect.Type) -> bool:
    """Return whether a number must be whole; a float type with multiples of 1 takes 4.0, too."""
    return isinstance(kind, inspect.IntType) or getattr(kind, "multiple_of", None) == 1


def _expected_number(kind: inspect.IntType | inspect.FloatType) -> str:
    number = "a whole number" if is_whole(kind) else "a number"
    if kind.ge is not None and kind.le is not None:
        return f"{number} from {kind.ge:.15g} to {kind.le:.15g}"
    if kind.gt is not None and kind.lt is not None:
        return f"{number} between {kind.gt:.15g} and {kind.lt:.15g}"
    bounds = (("above", kind.gt), ("of at least", kind.ge), ("below", kind.lt), ("up to", kind.le))
    words = " and ".join(f"{word} {bound:.15g}" for word, bound in bounds if bound is not None)
    return f"{number} {words}".strip()


def keys_of(kind: inspect.StructType) -> list[str]:
    """Return the keys that an object may have, the required ones first."""
    return [each.encode_name for each in sorted(kind.fields, key=lambda each: not each.required)]


def names_of(kind: inspect.EnumType | inspect.LiteralType) -> list[str]:
    """Return the names that a setting may have."""
    if isinstance(kind, inspect.EnumType):
        return [str(each.value) for each in kind.cls]
    return [str(value) for value in kind.values]


def without_null(kind: inspect.UnionType) -> inspect.Type:
    """Return the type of a setting that may also be null."""
    return next(each for each in kind.types if not isinstance(each, inspect.NoneType))


def printable(text: str) -> str:
    """Return a text with its halves of characters escaped: as such they could not be printed."""
    return text.encode(errors="backslashreplace").decode()
