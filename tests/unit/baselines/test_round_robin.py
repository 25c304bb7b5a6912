import random

import pytest

from router_backend.baselines.round_robin import RoundRobinPolicy
from router_backend.core.policies.base import Policy
from tests.unit.baselines.replicas import choose, holding


def turns(policy: Policy, names: str, requests: int) -> str:
    candidates = [holding(name) for name in names]
    return "".join(choose(policy, *candidates)[0].variant.name for _ in range(requests))


def test_the_candidates_take_turns_in_their_order():
    assert turns(RoundRobinPolicy(), "abc", 7) == "abcabca"


def test_one_that_is_out_loses_its_turns_and_is_next_when_it_returns():
    policy = RoundRobinPolicy()
    assert turns(policy, "abc", 4) == "abca"
    assert turns(policy, "ac", 4) == "caca"
    assert turns(policy, "abc", 6) == "bcabca"


def test_the_cost_is_the_number_of_turns_with_the_next_one():
    policy, a, b = RoundRobinPolicy(), holding("a"), holding("b")
    for _ in range(4):
        choose(policy, a, b)
    assert (a.cost, b.cost) == pytest.approx((3.0, 2.0))


def test_turns_are_in_proportion_to_the_weights():
    policy, a, b, c = RoundRobinPolicy(), holding("a"), holding("b"), holding("c")
    a.weight, c.weight = 3.0, 0.5
    picked = "".join(choose(policy, a, b, c)[0].variant.name for _ in range(18))
    assert [picked.count(name) for name in "abc"] == [12, 4, 2]
    assert picked[:9].count("a") == 6


def test_a_heavy_one_that_returns_does_not_make_up_for_its_turns():
    policy, a, b = RoundRobinPolicy(), holding("a"), holding("b")
    a.weight = 3.0
    assert [choose(policy, b)[0] for _ in range(50)] == [b] * 50
    picked = "".join(choose(policy, a, b)[0].variant.name for _ in range(20))
    assert picked.count("a") == pytest.approx(15, abs=1)


@pytest.mark.parametrize("weight", [1.0, 0.7])
def test_with_equal_weights_it_is_always_the_one_whose_last_turn_is_longest_ago(weight):
    policy, rng = RoundRobinPolicy(), random.Random(0)
    candidates = {name: holding(name) for name in "abcde"}
    for candidate in candidates.values():
        candidate.weight = weight
    last_turn = dict.fromkeys("abcde", 0)
    for request in range(1, 500):
        names = sorted(rng.sample("abcde", rng.randint(1, 5)))
        picked = choose(policy, *(candidates[name] for name in names))[0].variant.name
        assert picked == min(names, key=last_turn.__getitem__)
        last_turn[picked] = request
