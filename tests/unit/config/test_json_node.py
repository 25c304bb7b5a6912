from enum import Enum

import pytest

from router_backend.config.json_node import JsonNode, parse_json
from router_backend.errors import ConfigurationError


class Color(Enum):
    RED = "red"
    GREEN = "green"


def node(text: str) -> JsonNode:
    return parse_json("tea.json", text)


def member(text: str) -> JsonNode:
    """The value of a document's one key, `cup`."""
    return node(f'{{"cup": {text}}}').entries()["cup"]


def refusal(read) -> str:
    with pytest.raises(ConfigurationError) as error:
        read()
    return str(error.value)


class TestText:
    def test_that_is_no_json_is_refused_with_line_and_column(self):
        assert refusal(lambda: node('{"a": 1,\n "b" 2}')) == (
            "tea.json, line 2, column 6: expected JSON, found Expecting ':' delimiter"
        )

    def test_that_is_empty_is_refused(self):
        assert "line 1, column 1: expected JSON" in refusal(lambda: node(""))

    def test_that_is_nested_beyond_reading_is_refused(self):
        assert refusal(lambda: node("[" * 100_000)) == (
            "tea.json: expected JSON, found it nested too deep to be read"
        )


class TestHalvesOfCharacters:
    def test_are_no_text(self):
        assert refusal(lambda: member(r'"a\ud800"').text("a name")) == (
            r"tea.json, at cup: expected text of whole characters (an escape from \ud800 to \udfff alone is "
            r"half of one), found 'a\ud800'"
        )

    def test_are_no_keys(self):
        assert refusal(lambda: node(r'{"a\udfff": 1}').members(["cup"])) == (
            r"tea.json, at its top: expected a key of whole characters (an escape from \ud800 to \udfff "
            r"alone is half of one), found 'a\udfff'"
        )

    def test_are_shown_as_they_are_written(self):
        assert r"found '\ud800'" in refusal(lambda: member(r'"\ud800"').one_of(Color))

    def test_that_belong_together_are_a_character(self):
        assert member(r'"\ud83c\udf75"').text("a name") == "\N{TEACUP WITHOUT HANDLE}"


class TestObjects:
    def test_give_their_members_with_the_place_of_each(self):
        inner = node('{"tray": {"cup": 1}}').members(["tray"])["tray"].members(["cup"])["cup"]
        assert (inner.value, inner.path) == (1, "tray.cup")

    def test_with_an_unknown_key_are_refused_with_the_nearest_and_the_known_ones(self):
        assert refusal(lambda: node('{"cupp": 1}').members(["cup", "pot"])) == (
            "tea.json, at its top: unknown key 'cupp' (did you mean 'cup'?): expected one of cup, pot"
        )

    def test_without_a_required_key_are_refused_with_what_they_have(self):
        assert refusal(lambda: node('{"cup": 1}').members(["cup", "pot"], ["pot"])) == (
            "tea.json, at its top: the key 'pot' is missing, found cup: add it"
        )
        assert refusal(lambda: node("{}").members(["pot"], ["pot"])).endswith("found none: add it")

    def test_with_a_key_twice_are_refused_rather_than_read_as_the_last(self):
        twice = '{"cup": {"a": 1, "a": 1}}'
        expected = "tea.json, at cup: expected every key once, found 'a' twice: remove one"
        assert refusal(lambda: node(twice).entries()["cup"].entries()) == expected
        assert refusal(lambda: node(twice).entries()["cup"].members(["a"])) == expected

    @pytest.mark.parametrize("text", ["[]", "1", '"a"', "null", "true"])
    def test_are_not_what_is_something_else(self, text):
        assert refusal(node(text).entries).startswith("tea.json, at its top: expected an object, found ")
        assert "expected an object with cup, found" in refusal(lambda: node(text).members(["cup"]))


class TestLists:
    def test_give_their_items_with_the_place_of_each(self):
        assert [(item.path, item.value) for item in member("[1, 2]").items("cups")] == [
            ("cup[0]", 1),
            ("cup[1]", 2),
        ]

    def test_may_be_empty_unless_they_must_not(self):
        assert member("[]").items("cups") == []
        assert refusal(lambda: member("[]").items("cups", empty=False)) == (
            "tea.json, at cup: expected cups, found an empty list"
        )

    @pytest.mark.parametrize("text", ["{}", "1", '"ab"', "null"])
    def test_are_not_what_is_something_else(self, text):
        assert "at cup: expected cups, found" in refusal(lambda: member(text).items("cups"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{}", "an object"),
        ("[1]", "a list"),
        ("null", "null"),
        ("true", "true"),
        ("-1.5", "-1.5"),
        ('"a"', "'a'"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        (f'"{"a" * 99}"', f"'{'a' * 59}…"),
    ],
)
def test_what_is_found_is_shown_as_it_is_written(text, shown):
    assert str(member(text).refusal("tea")) == f"tea.json, at cup: expected tea, found {shown}"


class TestValues:
    def test_that_are_right_are_read(self):
        assert member('"a"').text("tea") == "a"
        assert member("true").switch() is True
        assert member("0.5").above_zero("tea") == 0.5
        assert member("3").above_zero("tea") == 3.0
        assert member("0").number("tea", lambda number: number < 1.0) == 0.0
        assert member("7").count("tea") == 7
        assert member("7.0").count("tea") == 7
        assert member('"red"').one_of(Color) is Color.RED

    @pytest.mark.parametrize("text", ['""', "1", "null", "[]"])
    def test_that_are_no_text_are_refused(self, text):
        assert "expected tea, found" in refusal(lambda: member(text).text("tea"))

    @pytest.mark.parametrize("text", ["1", '"true"', "null"])
    def test_that_are_no_switch_are_refused(self, text):
        assert "expected true or false, found" in refusal(member(text).switch)

    @pytest.mark.parametrize(
        "text", ["0", "-1", "true", '"1"', "null", "NaN", "Infinity", "1e999", "9" * 5000]
    )
    def test_that_are_no_number_above_zero_are_refused(self, text):
        assert "expected tea, found" in refusal(lambda: member(text).above_zero("tea"))

    @pytest.mark.parametrize("text", ["1", "1.1", "false", '"0"', "NaN", "-Infinity"])
    def test_that_are_no_number_that_is_allowed_are_refused(self, text):
        refused = refusal(lambda: member(text).number("tea", lambda number: number < 1.0))
        assert "expected tea, found" in refused

    @pytest.mark.parametrize("text", ["0", "1.5", "true", '"1"', "NaN", "1e999"])
    def test_that_are_no_count_are_refused(self, text):
        assert "expected tea, found" in refusal(lambda: member(text).count("tea"))

    def test_that_are_none_of_a_choice_are_refused_with_the_nearest(self):
        assert refusal(lambda: member('"gren"').one_of(Color)) == (
            "tea.json, at cup: expected one of red, green, found 'gren' (did you mean 'green'?)"
        )

    @pytest.mark.parametrize("text", ["1", "null", "[]", "{}"])
    def test_that_are_no_text_are_none_of_a_choice(self, text):
        assert "expected one of red, green, found" in refusal(lambda: member(text).one_of(Color))
