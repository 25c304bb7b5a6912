import pytest

from router_backend.baselines.uniform_random import RandomPolicy
from tests.unit.baselines.replicas import choose, holding, shares


def test_every_candidate_is_drawn_as_often():
    drawn = shares(RandomPolicy(), holding("a"), holding("b", in_flight=9), holding("c"), holding("d"))
    assert drawn == pytest.approx(dict.fromkeys("abcd", 0.25), abs=0.03)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_propensity_is_one_of_the_count(count):
    candidates = [holding(str(i)) for i in range(count)]
    assert choose(RandomPolicy(), *candidates)[1] == 1 / count
    assert {candidate.cost for candidate in candidates} == {0.0}
