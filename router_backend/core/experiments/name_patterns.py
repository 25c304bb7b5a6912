"""Check whether two patterns of model names can match the same name."""

from __future__ import annotations

import string
from fnmatch import fnmatchcase
from functools import cache

STAR = "*"
LIKELY = string.ascii_lowercase + string.digits + "_"


def common_name(one: str, other: str) -> str | None:
    """Return a name that both patterns match; `None` if there is none.

    Args:
        one: a shell pattern: `*` is any text, `?` any character, `[ab]` one of them, `[!ab]` any other.
        other: another pattern.

    Examples:
        >>> common_name("res*", "*50")
        'res50'
        >>> common_name("res*", "bert*") is None
        True
    """
    first, second = _parts(one), _parts(other)
    characters = LIKELY + one + other + string.printable

    @cache
    def common(i: int, j: int) -> str | None:
        """Return a text that the rest of both patterns matches."""
        if i == len(first) and j == len(second):
            return ""
        stars = [i < len(first) and first[i] == STAR, j < len(second) and second[j] == STAR]
        if any(stars):
            without = common(i + 1, j) if stars[0] else common(i, j + 1)
            if without is not None or i == len(first) or j == len(second):
                return without
            return common(i, j + 1) if all(stars) else longer(i, j, i + (not stars[0]), j + (not stars[1]))
        if i == len(first) or j == len(second):
            return None
        return longer(i, j, i + 1, j + 1)

    def longer(i: int, j: int, next_i: int, next_j: int) -> str | None:
        """Return a character that both parts match, and the text after it."""
        rest = common(next_i, next_j)
        both = (each for each in characters if fnmatchcase(each, first[i]) and fnmatchcase(each, second[j]))
        character = next(both, None)
        return None if rest is None or character is None else character + rest

    return common(0, 0)


def _parts(pattern: str) -> list[str]:
    """Split a pattern into parts that match one character, or any text."""
    parts: list[str] = []
    start = 0
    while start < len(pattern):
        end = start + 1
        if pattern[start] == "[":
            # The bracket that closes a class follows at least one character.
            closing = pattern.find("]", start + (3 if pattern[start + 1 : start + 2] == "!" else 2))
            end = closing + 1 if closing > 0 else end
        parts.append(pattern[start:end])
        start = end
    return parts
