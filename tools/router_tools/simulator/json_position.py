"""Where in the text of a JSON document a value stands."""

import re
from collections.abc import Sequence
from json import JSONDecoder

_DECODER = JSONDecoder(parse_int=float)  # which takes numbers of any length
_BETWEEN = re.compile(r"[\s,:]*")


def line_of(text: str, path: Sequence[str | int]) -> int:
    r"""The line, from 1, on which the value at `path` of a valid JSON document begins.

    A path that leads nowhere ends at the last value that it reaches.

    Examples:
        >>> line_of('{"a": 1,\n "b": [2,\n 3]}', ["b", 1])
        3
    """
    position = _skip(text, 0)
    for step in path:
        found = _child(text, position, step)
        if found is None:
            break
        position = found
    return text.count("\n", 0, position) + 1


def _child(text: str, position: int, step: str | int) -> int | None:
    """Where the member `step` of the object or array that begins at `position` begins; None: nowhere."""
    is_object = text[position] == "{"
    if not is_object and text[position] != "[":
        return None
    position = _skip(text, position + 1)
    index = 0
    while text[position] not in "]}":
        key: str | int = index
        if is_object:
            key, position = _DECODER.raw_decode(text, position)
            position = _skip(text, position)
        if key == step:
            return position
        _, position = _DECODER.raw_decode(text, position)
        position = _skip(text, position)
        index += 1
    return None


def _skip(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    assert match is not None, "the pattern matches the empty text"
    return match.end()
