import pytest

from router_backend.baselines.least_request import LeastRequestPolicy
from tests.unit.baselines.replicas import choose, holding, shares


def test_the_fewest_in_flight_are_picked_with_certainty():
    candidates = [holding("a", 3), holding("b", 1), holding("c", 2)]
    assert choose(LeastRequestPolicy(), *candidates) == (candidates[1], 1.0, False)
    assert [candidate.cost for candidate in candidates] == [4.0, 2.0, 3.0]


def test_equal_ones_are_drawn_equally_often():
    candidates = [holding("a", 1), holding("b", 2), holding("c", 1), holding("d", 1)]
    drawn = shares(LeastRequestPolicy(), *candidates)
    assert drawn == pytest.approx({"a": 1 / 3, "b": 0.0, "c": 1 / 3, "d": 1 / 3}, abs=0.03)
    assert choose(LeastRequestPolicy(), *candidates)[1] == 1 / 3


def test_a_weight_divides_what_is_in_flight_with_the_request():
    candidates = [holding("a", 2), holding("b", 0), holding("c", 3)]
    candidates[0].weight, candidates[2].weight = 4.0, 2.0
    assert choose(LeastRequestPolicy(), *candidates)[0] is candidates[0]
    assert [candidate.cost for candidate in candidates] == [3 / 4, 1.0, 4 / 2]
