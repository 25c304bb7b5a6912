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


def test_the_cost_is_the_number_of_the_last_turn():
    policy, a, b = RoundRobinPolicy(), holding("a"), holding("b")
    for _ in range(3):
        choose(policy, a, b)
    assert (a.cost, b.cost) == (1.0, 2.0)
