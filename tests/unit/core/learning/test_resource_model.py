import math

import pytest

from router_backend.core.learning.resource_model import ResourceModel


def taught(observations: int, prior: float = 0.0) -> ResourceModel:
    model = ResourceModel(prior)
    for number in range(observations):
        size = 1 + number % 8
        model.update(size, 50.0 + 10.0 * size)
    return model


def test_predicts_zero_without_prior_and_measurements():
    assert ResourceModel().predict(4.0) == 0.0


def test_predicts_the_prior_before_the_first_measurement():
    assert taught(0, prior=700.0).predict(4.0) == 700.0
    assert taught(40, prior=700.0).predict(4.0) == pytest.approx(90.0, rel=0.02)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0])
def test_an_implausible_value_is_rejected_and_counted(value):
    model = taught(40)
    before = model.predict(4.0)
    for count in (1, 2):
        model.update(4.0, value)
        assert model.predict(4.0) == before
        assert model.rejected == count


@pytest.mark.parametrize(("size", "value"), [(1e-9, 4.0), (1e12, 4.0), (4.0, 1e-9), (4.0, 1e12)])
def test_the_smallest_and_the_largest_valid_values_are_learned(size, value):
    model = ResourceModel()
    model.update(size, value)
    assert (model.rejected, model.predict(size)) == (0, pytest.approx(value))
