import pytest

from router_backend.baselines.uniform_random import RandomPolicy
from tests.unit.baselines.replicas import choose, holding, shares


def test_every_candidate_is_drawn_as_often():
    drawn = shares(RandomPolicy(), holding("a"), holding("b", in_flight=9), holding("c"), holding("d"))
    assert drawn == pytest.approx(dict.fromkeys("abcd", 0.25), abs=0.03)


def test_a_weight_makes_a_candidate_as_many_times_as_likely():
    heavy, light = holding("heavy"), holding("light")
    heavy.weight = 3.0
    assert shares(RandomPolicy(), heavy, light) == pytest.approx({"heavy": 0.75, "light": 0.25}, abs=0.03)
    candidate, propensity, _ = choose(RandomPolicy(), heavy, light)
    assert propensity == (0.75 if candidate is heavy else 0.25)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_propensity_is_one_of_the_count(count):
    candidates = [holding(str(i)) for i in range(count)]
    assert choose(RandomPolicy(), *candidates)[1] == 1 / count
    assert {candidate.cost for candidate in candidates} == {0.0}
