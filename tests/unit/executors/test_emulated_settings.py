import pytest

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
    assert (settings.device, settings.noise_sigma, settings.seed) == (None, 0.0, 0)


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
@pytest.mark.parametrize("text", ["-1", "nan", "inf", "many", ""])
def test_a_time_that_cannot_be_is_refused(key: str, text: str) -> None:
    assert refusal({**AFFINE, key: text}) == (
        f"config.pbtxt, parameter '{key}': expected a number of ms, at least 0, found '{text}'"
    )


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "7", '{"0": 1}', '{"-2": 1}', '{"one": 1}', '{"1": -1}', '{"1": "2"}', '{"1": true}'],
)
def test_a_table_that_cannot_be_is_refused(text: str) -> None:
    message = refusal({"ms_by_batch": text})
    assert message.startswith("config.pbtxt, parameter 'ms_by_batch': expected a JSON object from batch size")
    assert message.endswith(f"found '{text}'")


@pytest.mark.parametrize(("key", "text"), [("noise_sigma", "-0.1"), ("seed", "1.5"), ("device", "asic")])
def test_other_values_that_cannot_be_are_refused(key: str, text: str) -> None:
    message = refusal({**AFFINE, key: text})
    assert message.startswith(f"config.pbtxt, parameter '{key}': expected ")
    assert message.endswith(f"found '{text}'")


def test_an_unknown_parameter_is_refused_with_the_nearest() -> None:
    assert "unknown parameter 'noise_sigm' (did you mean 'noise_sigma'?)" in refusal(
        {**AFFINE, "noise_sigm": "1"}
    )
