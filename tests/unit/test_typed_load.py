from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import UNSET, Meta, UnsetType, field

from router_backend.errors import ConfigurationError, nearest
from router_backend.typed_load import Section, decode_json, load, load_texts


class Color(Enum):
    RED = "red"
    GREEN = "green"


class Spout(Section, frozen=True):
    color: Color
    length_cm: Annotated[float, Meta(gt=0, extra={"unit": "cm", "fix": "leave it out"})] = 3.0

    def __post_init__(self) -> None:
        if self.length_cm == 14.0:
            raise ValueError("a defect")
        if self.length_cm == 13.0:
            raise ConfigurationError(path="length_cm", expected="a lucky number", found="13")


Cups = Annotated[tuple[Annotated[int, Meta(ge=1, le=99)], ...], Meta(extra={"none": "none"})]
Share = Annotated[float, Meta(ge=0, le=1)]


class Pot(Section, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1)]
    spout: Spout | UnsetType = UNSET
    cups: Cups = ()
    by_color: Mapping[Color, Share] = field(name="byColor", default_factory=dict)
    colors: Annotated[frozenset[Color], Meta(min_length=1)] | UnsetType = UNSET
    limit: Annotated[float, Meta(ge=1, extra={"fix": "2 is enough"})] | None = None
    is_hot: bool = False
    lids: Annotated[float, Meta(ge=1, multiple_of=1)] = 1
    rate: Annotated[float, Meta(gt=0, lt=1)] | UnsetType = UNSET
    span: tuple[Share, Share] = (0.0, 1.0)
    file: Path | None = None


def read(text: str) -> Pot:
    return load(Pot, decode_json("tea.json", text), "tea.json")


def refusal(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        read(text)
    return str(error.value).split("\n")


def refusal_of(**members: Any) -> list[str]:
    return refusal(json.dumps({"name": "a", **members}))


def refusal_of_texts(**texts: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        load_texts(Pot, {"name": "a", **texts}, "tea")
    return str(error.value).split("\n")


class TestJson:
    def test_that_is_not_json_is_refused_with_line_and_column(self):
        assert refusal('{"a": 1,\n "b" 2}') == [
            "tea.json, line 2, column 6: expected JSON, found an error: Expecting ':' delimiter"
        ]

    def test_that_is_empty_is_refused(self):
        assert refusal("")[0].startswith("tea.json, line 1, column 1: expected JSON")

    def test_that_is_nested_beyond_reading_is_refused(self):
        assert refusal("[" * 100_000) == ["tea.json: expected JSON, found too many nested brackets"]

    def test_that_is_nested_almost_beyond_reading_is_refused(self):
        for depth in range(100, 2_000, 50):
            for begin, end in (("[", "]"), ('{"a":', "}")):
                assert refusal('{"name": "a", "spout": ' + begin * depth + "1" + end * depth + "}")


class TestHalvesOfCharacters:
    def test_are_not_text(self):
        assert refusal(r'{"name": "a\ud800"}') == [
            r"tea.json: name: expected whole characters (\ud800 to \udfff alone are halves), found 'a\ud800'"
        ]

    def test_are_not_keys(self):
        (message,) = refusal(r'{"name": "a", "a\udfff": 1}')
        assert message.startswith(r"tea.json: expected a known key, found 'a\udfff'; use one of name, ")

    def test_are_not_repeated_keys(self):
        assert (
            r"tea.json: byColor.a\udfff: expected every key once, found 'a\udfff' twice; remove one"
            in refusal(r'{"name": "a", "byColor": {"a\udfff": 1, "a\udfff": 2}}')
        )

    def test_are_not_names_of_a_mapping(self):
        (message,) = refusal(r'{"name": "a", "byColor": {"\ud800": 1}}')
        assert message.endswith(r"found '\ud800'")

    def test_that_belong_together_are_a_character(self):
        assert read(r'{"name": "\ud83c\udf75"}').name == "\N{TEACUP WITHOUT HANDLE}"


class TestObjects:
    def test_are_read_with_their_defaults(self):
        assert read('{"name": "a", "spout": {"color": "red"}}') == Pot(name="a", spout=Spout(Color.RED))

    def test_with_an_unknown_key_are_refused_with_the_nearest_and_the_known_ones(self):
        assert refusal_of(spout={"colour": "red", "color": "red"}) == [
            "tea.json: spout: expected a known key, found 'colour' (did you mean 'color'?); "
            "use one of color, length_cm"
        ]

    def test_without_a_required_key_are_refused_with_what_they_have(self):
        assert refusal_of(spout={"length_cm": 1}) == [
            "tea.json: spout: expected the key 'color' (one of red, green), found only length_cm; add it"
        ]
        assert refusal("{}") == ["tea.json: expected the key 'name' (text), found no keys; add it"]

    def test_with_a_key_twice_are_refused_rather_than_read_as_the_last(self):
        assert refusal('{"name": "a", "spout": {"color": "red", "color": "red"}}') == [
            "tea.json: spout.color: expected every key once, found 'color' twice; remove one"
        ]
        assert refusal('{"name": "a", "byColor": {"red": 1, "red": 1}}') == [
            "tea.json: byColor.red: expected every key once, found 'red' twice; remove one"
        ]

    @pytest.mark.parametrize("value", [[], 1, "a", None, True])
    def test_are_not_what_is_something_else(self, value):
        (message,) = refusal_of(spout=value)
        assert message.startswith("tea.json: spout: expected an object with color, length_cm, found ")
        (message,) = refusal_of(byColor=value)
        assert message.startswith("tea.json: byColor: expected an object with red, green, found ")

    def test_that_reject_themselves_are_refused_at_their_place(self):
        assert refusal_of(spout={"color": "red", "length_cm": 13}) == [
            "tea.json: spout.length_cm: expected a lucky number, found 13"
        ]

    def test_with_a_defect_are_not_a_wrong_value(self):
        with pytest.raises(ValueError, match=r"^a defect$"):
            read('{"name": "a", "spout": {"color": "red", "length_cm": 14}}')

    def test_whose_keys_are_names_have_no_others(self):
        assert refusal_of(byColor={"rde": 1}) == [
            "tea.json: byColor.rde: expected one of red, green, found 'rde' (did you mean 'red'?)"
        ]


class TestEverythingWrong:
    def test_is_reported_at_once(self):
        assert refusal(
            '{"is_hot": 1, "cups": [0, 1, "2"], "spout": {"color": "gren", "length_cm": "3cm"}}'
        ) == [
            "tea.json: expected the key 'name' (text), found only is_hot, cups, spout; add it",
            "tea.json: is_hot: expected true or false, found 1",
            "tea.json: cups[0]: expected a whole number from 1 to 99, found 0",
            "tea.json: cups[2]: expected a whole number from 1 to 99, found '2'",
            "tea.json: spout.color: expected one of red, green, found 'gren' (did you mean 'green'?)",
            "tea.json: spout.length_cm: expected a number of cm above 0, found '3cm'; leave it out",
        ]

    def test_is_kept_as_fields(self):
        with pytest.raises(ConfigurationError) as error:
            read('{"name": "a", "spout": {"color": "red", "length_cm": -1}}')
        (problem,) = error.value.problems
        assert (problem.where, problem.path) == ("tea.json", "spout.length_cm")
        assert (problem.expected, problem.found) == ("a number of cm above 0", "-1")
        assert (problem.hint, problem.fix) == ("", "leave it out")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{}", "an empty object"),
        ('{"a": 1}', "an object"),
        ("[1]", "a list"),
        ("[]", "an empty list"),
        ("null", "null"),
        ("true", "true"),
        ("-1.5", "-1.5"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        (f'"{"a" * 99}"', f"'{'a' * 59}…"),
    ],
)
def test_what_is_found_is_shown_as_it_is_written(text, shown):
    (message,) = refusal(f'{{"name": "a", "cups": [{text}]}}')
    assert message == f"tea.json: cups[0]: expected a whole number from 1 to 99, found {shown}"


class TestValues:
    @pytest.mark.parametrize(
        ("members", "attribute", "value"),
        [
            ({"cups": [1, 7]}, "cups", (1, 7)),
            ({"lids": 4.0}, "lids", 4),
            ({"byColor": {"red": 1}}, "by_color", {Color.RED: 1.0}),
            ({"colors": ["red", "red"]}, "colors", frozenset({Color.RED})),
            ({"limit": None}, "limit", None),
            ({"limit": 1}, "limit", 1.0),
            ({"span": [0, 0.5]}, "span", (0.0, 0.5)),
            ({"rate": 0.5}, "rate", 0.5),
        ],
    )
    def test_that_are_right_are_read(self, members, attribute, value):
        assert getattr(read(json.dumps({"name": "a", **members})), attribute) == value

    @pytest.mark.parametrize("value", ["", 1, None, []])
    def test_that_are_not_text_are_refused(self, value):
        (message,) = refusal_of(name=value)
        assert message.startswith("tea.json: name: expected text, found ")

    @pytest.mark.parametrize("value", [1, "true", None])
    def test_that_are_not_a_switch_are_refused(self, value):
        (message,) = refusal_of(is_hot=value)
        assert message.startswith("tea.json: is_hot: expected true or false, found ")

    @pytest.mark.parametrize(
        "text", ["0", "1", "-1", "true", '"0.5"', "null", "NaN", "Infinity", "1e999", "9" * 5000]
    )
    def test_that_are_not_a_number_within_its_bounds_are_refused(self, text):
        (message,) = refusal(f'{{"name": "a", "rate": {text}}}')
        assert message.startswith("tea.json: rate: expected a number between 0 and 1, found ")

    @pytest.mark.parametrize(
        "text", ["0", "1.5", "2.0", "100", "true", '"1"', "NaN", "1e30", "1e999", "9" * 5000]
    )
    def test_that_are_not_a_whole_number_are_refused(self, text):
        (message,) = refusal(f'{{"name": "a", "cups": [{text}]}}')
        assert message.startswith("tea.json: cups[0]: expected a whole number from 1 to 99, found ")

    @pytest.mark.parametrize("value", [0, 1.5, "1", None])
    def test_that_are_not_whole_where_4_0_would_be_are_refused(self, value):
        (message,) = refusal_of(lids=value)
        assert message.startswith("tea.json: lids: expected a whole number of at least 1, found ")

    def test_that_may_be_null_say_so(self):
        assert refusal_of(limit=0.5) == [
            "tea.json: limit: expected a number of at least 1, or null, found 0.5; 2 is enough"
        ]

    @pytest.mark.parametrize("value", [[0.5], [0.1, 0.2, 0.3], 0.5])
    def test_that_are_a_list_of_another_length_are_refused(self, value):
        (message,) = refusal_of(span=value)
        assert message.startswith(
            "tea.json: span: expected a list of 2 items, each a number from 0 to 1, found "
        )

    def test_that_are_an_empty_list_where_it_must_not_be_are_refused(self):
        assert refusal_of(colors=[]) == [
            "tea.json: colors: expected a list of one or more items, each one of red, green, "
            "found an empty list"
        ]

    @pytest.mark.parametrize("value", [1, None, [], {}])
    def test_that_are_not_text_are_not_a_name(self, value):
        (message,) = refusal_of(spout={"color": value})
        assert message.startswith("tea.json: spout.color: expected one of red, green, found ")


class TestTexts:
    def test_are_read_as_what_they_stand_for_without_space_around_it(self):
        texts = {
            "spout": "red=4.5",
            "cups": " 1, 2 ,3",
            "byColor": "red=0.5, green = 1",
            "colors": "green,red",
            "is_hot": " true ",
            "rate": "0.25",
            "limit": "2",
            "file": "a.txt",
        }
        assert load_texts(Pot, {"name": "a", **texts}) == Pot(
            name="a",
            cups=(1, 2, 3),
            spout=Spout(Color.RED, 4.5),
            by_color={Color.RED: 0.5, Color.GREEN: 1.0},
            colors=frozenset(Color),
            is_hot=True,
            rate=0.25,
            limit=2.0,
            file=Path("a.txt"),
        )

    def test_can_say_that_a_list_is_empty(self):
        assert load_texts(Pot, {"name": "a", "cups": "none"}).cups == ()

    def test_of_triton_are_left_out(self):
        assert load_texts(Pot, {"name": "a", "EXECUTION_ENV_PATH": "env.tar.gz"}) == Pot(name="a")

    @pytest.mark.parametrize(
        ("key", "text", "message"),
        [
            ("rate", "1", "rate: expected a number between 0 and 1, found 1.0"),
            ("rate", "nan", "rate: expected a number between 0 and 1, found 'nan'"),
            ("rate", "50 %", "rate: expected a number between 0 and 1, found '50 %'"),
            ("is_hot", "yes", "is_hot: expected true or false, found 'yes'"),
            ("cups", "1,,2", "cups[1]: expected a whole number from 1 to 99, found ''"),
            ("cups", "²", "cups[0]: expected a whole number from 1 to 99, found '²'"),
            ("cups", "9" * 50, f"cups[0]: expected a whole number from 1 to 99, found '{'9' * 50}'"),
            ("byColor", "red", "byColor: expected an object with red, green, found 'red'"),
            ("byColor", "red=1,red=1", "byColor: expected an object with red, green, found 'red=1,red=1'"),
            ("file", " ", "file: expected text, or null, found ''"),
            ("hot", "true", "expected a known key, found 'hot' (did you mean 'is_hot'?); use one of name, "
             "spout, cups, byColor, colors, limit, is_hot, lids, rate, span, file"),
        ],
    )  # fmt: skip
    def test_that_cannot_be_read_are_refused(self, key, text, message):
        assert refusal_of_texts(**{key: text}) == [f"tea: {message}"]


def test_the_nearest_name_is_offered_only_where_one_is_near():
    assert nearest("resnet50_cpuu", ["resnet50_gpu", "resnet50_cpu"]) == "did you mean 'resnet50_cpu'?"
    assert nearest("bert", ["resnet50_cpu"]) == ""


@pytest.mark.parametrize("name", ["metal_mps", "METAL_MPS", "MPS", "mp"])
def test_a_name_in_other_letters_or_with_a_word_more_is_near(name: str):
    assert nearest(name, ["cpu", "mps"]) == "did you mean 'mps'?"
    assert nearest("bert", []) == ""


class Bouquet(Section, frozen=True):
    TOGETHER = frozenset({"roses", "tulips"})

    vase: Color
    roses: int = 0
    tulips: int = 0

    def __post_init__(self) -> None:
        if self.roses and self.tulips:
            raise ConfigurationError(path="roses", expected="roses or tulips", found="both")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"vase": "red", "roses": 1, "tulips": 2}, ["roses"]),
        ({"vase": "pink", "roses": 1, "tulips": 2}, ["vase", "roses"]),
        ({"roses": 1, "tulips": 2}, ["", "roses"]),
        ({"vase": "pink", "roses": 1}, ["vase"]),
        ({"vase": "pink", "roses": "one", "tulips": 2}, ["vase", "roses"]),
    ],
)
def test_members_that_do_not_fit_together_are_reported_beside_a_wrong_one(
    value: object, expected: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(Bouquet, value)
    assert [problem.path for problem in raised.value.problems] == expected


FIRST_USES = """
import sys
import threading
from msgspec import Meta, defstruct
from typing import Annotated
from router_backend.typed_load import Section, fields_of, load

sys.setswitchinterval(1e-6)
WEIGHT = Annotated[float, Meta(gt=0)]


def first_use(number, kind, together):
    together.wait()
    if number % 2:
        load(kind, {"part": {"weight_1": 2.0}})
    else:
        fields_of(kind)


for _ in range(100):
    weights = [(f"weight_{number}", WEIGHT, 1.0) for number in range(20)]
    part = defstruct("Part", weights, bases=(Section,), frozen=True)
    whole = defstruct("Whole", [("part", part, part())], bases=(Section,), frozen=True)
    together = threading.Barrier(4)
    threads = [threading.Thread(target=first_use, args=(number, whole, together)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_several_threads_may_use_a_structure_for_the_first_time():
    subprocess.run([sys.executable, "-c", FIRST_USES], check=True)
