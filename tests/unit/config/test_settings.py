from dataclasses import dataclass

import pytest

from router_backend.config.settings import read_settings, setting
from router_backend.errors import ConfigurationError, nearest


@dataclass(frozen=True)
class Kettle:
    litres: float = setting(float, "a number")
    color: str = setting(str, "a color", default="red")


def refusal(**texts: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        read_settings(Kettle, "the kettle", texts)
    return str(error.value)


def test_each_field_is_read_from_the_text_of_its_name_without_space_around_it():
    assert read_settings(Kettle, "", {"litres": " 1.5 ", "color": "blue"}) == Kettle(1.5, "blue")


def test_a_text_that_is_left_out_leaves_the_default():
    assert read_settings(Kettle, "", {"litres": "1"}) == Kettle(1.0, "red")


def test_a_text_without_a_default_must_be_there():
    assert refusal(color="red") == "the kettle: the parameter 'litres' is missing: expected a number"


def test_a_text_that_cannot_be_read_is_refused_with_what_was_expected_and_found():
    assert refusal(litres="many") == "the kettle, parameter 'litres': expected a number, found 'many'"


def test_an_unknown_name_is_refused_with_the_nearest_and_the_known_ones():
    assert refusal(litre="1") == (
        "the kettle: unknown parameter 'litre' (did you mean 'litres'?): expected one of litres, color"
    )


def test_names_that_belong_to_triton_are_left_alone():
    assert read_settings(Kettle, "", {"litres": "1", "FORCE_CPU_ONLY_INPUT_TENSORS": "no"}) == Kettle(1.0)


def test_the_nearest_name_is_offered_only_where_one_is_near():
    assert nearest("resnet50_cpuu", ["resnet50_gpu", "resnet50_cpu"]) == " (did you mean 'resnet50_cpu'?)"
    assert nearest("bert", ["resnet50_cpu"]) == ""


@pytest.mark.parametrize("name", ["metal_mps", "METAL_MPS", "MPS", "mp"])
def test_a_name_in_other_letters_or_with_a_word_more_is_near(name: str):
    assert nearest(name, ["cpu", "mps"]) == " (did you mean 'mps'?)"
    assert nearest("bert", []) == ""
