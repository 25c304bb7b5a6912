import math

import pytest

from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.errors import ConfigurationError


@pytest.mark.parametrize("name", ["parameter_count", "parameter_bytes", "macs", "activation_bytes"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_an_invalid_count_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError) as error:
        ModelCharacteristics("m", **{name: value})  # type: ignore[arg-type]
    assert str(error.value) == (
        f"model 'm': {name}: expected a number of 0 or more, found {value}; "
        "leave it out where it is not known"
    )


@pytest.mark.parametrize("name", ["parameter_count", "parameter_bytes", "macs", "activation_bytes"])
def test_a_count_may_be_zero(name: str) -> None:
    model = ModelCharacteristics("m", **{name: 0})  # type: ignore[arg-type]
    assert getattr(model, name) == 0


def test_without_moved_bytes_there_is_no_intensity() -> None:
    assert ModelCharacteristics("m", macs=100, activation_bytes=0).arithmetic_intensity is None


def test_unknown_characteristics_stay_unknown() -> None:
    model = ModelCharacteristics("m")
    assert (model.flops, model.arithmetic_intensity) == (None, None)


def test_the_intensity_is_the_work_per_moved_byte() -> None:
    model = ModelCharacteristics("m", parameter_bytes=30, macs=100, activation_bytes=20)
    assert (model.flops, model.arithmetic_intensity) == (200, 4.0)
