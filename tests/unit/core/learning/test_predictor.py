import pytest

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.predictor import variance_of


def test_a_law_of_one_exact_observation_has_a_variance_of_one_eighth():
    """The initial quarter, divided by the number of observations plus one."""
    law = AffineLaw()
    law.update(4.0, 10.0)
    assert variance_of(law) == pytest.approx(0.25 / 2)


def test_a_law_without_observations_has_the_initial_variance():
    assert variance_of(AffineLaw()) == 0.25


def test_a_law_that_fits_nothing_has_a_variance_of_one_at_most():
    law = AffineLaw()
    law.update(1.0, 1.0)
    law.update(1.0, 1000.0)
    assert variance_of(law) == 1.0
