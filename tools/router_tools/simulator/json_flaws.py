"""What JSON can say but no data file may: endless numbers, a key twice, halves of characters."""

import json
import math
from collections.abc import Iterable

_LONGEST_WHOLE_NUMBER = 18
Where = list[str | int]
Flaw = tuple[Where, str]


class _Repeated(dict[str, object]):
    """An object with a key that stands in it more than once."""

    key = ""


def decode(text: str) -> object:
    """The value of a JSON text.

    Raises:
        json.JSONDecodeError: it is none.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, object_pairs_hook=_object, parse_int=_whole_number)


def find_flaw(content: object) -> Flaw | None:
    """Where the first flaw of a decoded text stands, and what was expected and found; None: it has none.

    Raises:
        RecursionError: it is nested too deep.
    """
    if isinstance(content, _Repeated):
        return [content.key], f"expected every key once, found '{content.key}' twice"
    problem = _problem(content)
    if problem is not None:
        return [], problem
    for step, member in _members(content):
        flaw = find_flaw(member)
        if flaw is not None:
            return [step, *flaw[0]], flaw[1]
    return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeated = _Repeated(members)
    keys = [key for key, _ in pairs]
    repeated.key = next(key for key in keys if keys.count(key) > 1)
    return repeated


def _whole_number(text: str) -> float:
    """Python refuses whole numbers of thousands of digits; as a fraction they are infinite, and refused."""
    return int(text) if len(text) <= _LONGEST_WHOLE_NUMBER else float(text)


def _problem(content: object) -> str | None:
    if isinstance(content, float) and not math.isfinite(content):
        return "expected a finite number, found one that is not"
    texts = content if isinstance(content, dict) else [content]
    for text in texts:
        shown = text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text
        if shown != text:
            return f"expected text of whole characters, found '{shown}'"
    return None


def _members(content: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(content, dict):
        return content.items()
    return enumerate(content) if isinstance(content, list) else ()
