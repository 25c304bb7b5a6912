import pytest

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.predictor import variance_of, widened


def test_a_law_of_one_exact_observation_has_a_variance_of_one_eighth():
    """The initial quarter, divided by the number of observations plus one."""
    law = AffineLaw()
    law.update(4.0, 10.0)
    assert variance_of(law) == pytest.approx(0.25 / 2)


def test_a_law_without_observations_has_the_initial_variance():
    assert variance_of(AffineLaw()) == 0.25


@pytest.mark.parametrize(
    ("unseen_s", "variance"), [(-5.0, 0.1), (0.0, 0.1), (0.5, 0.105), (2.0, 0.12), (1e6, 1.0)]
)
def test_a_variance_grows_by_a_hundredth_each_second_up_to_one(unseen_s, variance):
    assert widened(0.1, unseen_s) == pytest.approx(variance)
