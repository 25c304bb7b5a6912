from itertools import permutations

import pytest

from router_backend.baselines.power_of_two import PowerOfTwoPolicy
from tests.unit.baselines.replicas import choose, holding, shares

LOADS = [
    {"a": 0, "b": 1, "c": 1, "d": 3},
    {"a": 2, "b": 2},
    {"a": 5, "b": 0, "c": 5},
    dict.fromkeys("abcde", 1),
]


def by_enumeration(in_flight: dict[str, int]) -> dict[str, float]:
    """Every ordered draw of two, and who wins it."""
    draws = list(permutations(in_flight, 2))
    winners = [second if in_flight[second] < in_flight[first] else first for first, second in draws]
    return {name: winners.count(name) / len(draws) for name in in_flight}


@pytest.mark.parametrize("in_flight", LOADS)
def test_the_less_loaded_of_two_random_ones_is_picked(in_flight):
    drawn = shares(PowerOfTwoPolicy(), *(holding(name, n) for name, n in in_flight.items()))
    assert drawn == pytest.approx(by_enumeration(in_flight), abs=0.03)


@pytest.mark.parametrize("in_flight", LOADS)
def test_the_propensity_is_the_share_of_the_draws_that_it_wins(in_flight):
    candidates = [holding(name, n) for name, n in in_flight.items()]
    candidate, propensity, _ = choose(PowerOfTwoPolicy(), *candidates)
    assert propensity == by_enumeration(in_flight)[candidate.variant.name]


def test_the_only_candidate_is_picked_with_certainty():
    only = holding("only", in_flight=2)
    assert choose(PowerOfTwoPolicy(), only) == (only, 1.0, False)
    assert only.cost == 3.0


def test_a_weight_counts_in_the_draw_and_in_the_comparison():
    """With 2 in flight and the weight 4 it beats the idle one, but is not always drawn."""
    idle, heavy, busy = holding("idle"), holding("heavy", 2), holding("busy", 9)
    heavy.weight = 4.0
    assert choose(PowerOfTwoPolicy(), idle, heavy)[:2] == (heavy, 1.0)
    assert shares(PowerOfTwoPolicy(), idle, heavy, busy) == pytest.approx(
        {"idle": 1 / 9, "heavy": 8 / 9, "busy": 0.0}, abs=0.03
    )
