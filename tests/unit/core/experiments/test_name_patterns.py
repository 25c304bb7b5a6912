from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_backend.core.experiments.name_patterns import common_name

PATTERNS = st.text(alphabet="ab*?[]!-", max_size=6)


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("*", "*", ""),
        ("res*", "*50", "res50"),
        ("resnet50", "res*", "resnet50"),
        ("a?c", "ab*", "abc"),
        ("[ab]x", "[bc]?", "bx"),
        ("[!ab]", "[a-c]", "c"),
        ("[!a]", "[ab]", "b"),
        ("[!]a]", "[]ab]", "b"),
        ("[ab]]", "?]", "a]"),
        ("[", "[[]", "["),
        ("[]]", "*", "]"),
    ],
)
def test_a_name_that_both_match_is_found(one: str, other: str, name: str):
    assert common_name(one, other) == common_name(other, one) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [("res*", "bert*"), ("a", "b"), ("a?", "a"), ("[ab]", "[cd]"), ("A*", "a*"), ("a*b", "*c")],
)
def test_without_a_common_name_none_is_found(one: str, other: str):
    assert common_name(one, other) is None


@given(PATTERNS, PATTERNS)
@settings(max_examples=400, derandomize=True)
def test_the_name_that_is_found_matches_both(one: str, other: str):
    name = common_name(one, other)
    assert name is None or (fnmatchcase(name, one) and fnmatchcase(name, other))


@given(PATTERNS, PATTERNS, st.text(alphabet="ab!-[]", max_size=4))
@settings(max_examples=400, derandomize=True)
def test_if_any_name_matches_both_one_is_found(one: str, other: str, name: str):
    if fnmatchcase(name, one) and fnmatchcase(name, other):
        assert common_name(one, other) is not None
