import json

import pytest

from router_tools.simulator.json_position import line_of

TEXT = """{
  "name": "a, \\"b\\": [",
  "list": [
    1, 2,
    {"x": {"y": null}}
  ],
  "last": {
    "z":
      true
  }
}"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("name",), 2),
        (("list",), 3),
        (("list", 1), 4),
        (("list", 2, "x", "y"), 5),
        (("last", "z"), 9),
        (("last", "missing", 3), 7),
        (("list", 9), 3),
        (("name", "of a text"), 2),
    ],
)
def test_each_value_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert json.loads(TEXT)["last"]["z"] is True
    assert line_of(TEXT, path) == line


def test_the_first_value_need_not_stand_on_the_first_line() -> None:
    assert line_of('\n\n{"a": 1}', ["a"]) == 3
