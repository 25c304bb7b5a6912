import pytest
from msgspec import UNSET

from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError
from router_backend.executors.emulated_settings import parse_settings

AFFINE = {"base_ms": "0.9", "per_item_ms": "1.5"}
TABLE = {"ms_by_batch": '{"1": 3.003, "32": 28}'}


def refusal(parameters: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parse_settings(parameters)
    return str(refused.value)


def test_two_parameters_are_enough_and_mean_base_plus_items() -> None:
    settings = parse_settings(AFFINE)
    assert settings.points_ms == {1: pytest.approx(2.4), 2: pytest.approx(3.9)}
    assert (settings.device, settings.noise_sigma, settings.seed) == (UNSET, 0.0, 0)


def test_a_table_is_a_law_too() -> None:
    assert parse_settings(TABLE).points_ms == {1: 3.003, 32: 28.0}


def test_every_parameter_is_read() -> None:
    settings = parse_settings({**AFFINE, "device": "neural_engine", "noise_sigma": "0.05", "seed": "-7"})
    assert settings.device is Device.NEURAL_ENGINE
    assert (settings.noise_sigma, settings.seed) == (0.05, -7)


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, "none of them"),
        ({"base_ms": "1"}, "base_ms"),
        ({"per_item_ms": "1"}, "per_item_ms"),
        ({**TABLE, "base_ms": "1"}, "base_ms and ms_by_batch"),
        ({**TABLE, **AFFINE}, "base_ms and per_item_ms and ms_by_batch"),
    ],
)
def test_anything_but_one_law_is_refused(parameters: dict[str, str], found: str) -> None:
    assert refusal(parameters) == (
        f"config.pbtxt: expected the parameters base_ms and per_item_ms, or ms_by_batch alone, found {found}"
    )


@pytest.mark.parametrize("key", ["base_ms", "per_item_ms"])
@pytest.mark.parametrize(
    ("text", "found"),
    [("-1", "-1.0"), ("nan", "'nan'"), ("inf", "'inf'"), ("many", "'many'"), ("", "''"), ("3ms", "'3ms'")],
)
def test_an_invalid_time_is_refused(key: str, text: str, found: str) -> None:
    assert refusal({**AFFINE, key: text}) == (
        f"config.pbtxt: {key}: expected a number of ms of at least 0, found {found}"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "''"), ("[]", "an empty list"), ("{}", "an empty object"), ("7", "7"), ("1,2", "'1,2'")],
)
def test_an_invalid_table_is_refused(text: str, found: str) -> None:
    message = refusal({"ms_by_batch": text})
    assert message.startswith("config.pbtxt: ms_by_batch: expected a JSON object from batch size")
    assert message.endswith(f"found {found}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"0": 1}', "0: expected a whole number of at least 1, found 0"),
        ('{"-2": 1}', "-2: expected a whole number of at least 1, found -2"),
        ('{"one": 1}', "one: expected a whole number of at least 1, found 'one'"),
        ('{"1": -1}', "1: expected a number of ms of at least 0, found -1"),
        ('{"1": "2"}', "1: expected a number of ms of at least 0, found '2'"),
        ('{"1": true}', "1: expected a number of ms of at least 0, found true"),
    ],
)
def test_an_invalid_entry_of_a_table_is_refused_with_its_place(text: str, message: str) -> None:
    assert refusal({"ms_by_batch": text}) == f"config.pbtxt: ms_by_batch.{message}"


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [("noise_sigma", "-0.1", "-0.1"), ("seed", "1.5", "'1.5'"), ("device", "asic", "'asic'")],
)
def test_other_invalid_values_are_refused(key: str, text: str, found: str) -> None:
    message = refusal({**AFFINE, key: text})
    assert message.startswith(f"config.pbtxt: {key}: expected ")
    assert message.endswith(f"found {found}")


def test_an_unknown_parameter_is_refused_with_the_nearest() -> None:
    assert "found 'noise_sigm' (did you mean 'noise_sigma'?)" in refusal({**AFFINE, "noise_sigm": "1"})
