import math
import random

import pytest

from router_backend.baselines.exp3 import Exp3Policy
from router_backend.core.policies.picker import Picker
from tests.unit.baselines.replicas import answer, choose, holding, shares
from tests.unit.core.candidates import request_of

GAMMA_OF_TWO = math.sqrt(2 * math.log(2) / ((math.e - 1) * 10_000))


def test_at_first_all_are_as_likely():
    candidates = [holding(name) for name in "abcd"]
    _, propensity, _ = choose(Exp3Policy(), *candidates)
    assert propensity == pytest.approx(0.25)
    assert [candidate.cost for candidate in candidates] == pytest.approx([0.75] * 4)


def test_the_weight_grows_by_the_reward_over_the_propensity():
    """The first latency is its own mean, so its reward is a half."""
    policy, a, b = Exp3Policy(), holding("a"), holding("b")
    choose(policy, a, b)
    answer(policy, a, 30.0, propensity=0.2)
    choose(policy, a, b)
    weight = math.exp(GAMMA_OF_TWO * (0.5 / 0.2) / 2)
    likely = (1 - GAMMA_OF_TWO) * weight / (weight + 1) + GAMMA_OF_TWO / 2
    assert (1 - a.cost, 1 - b.cost) == pytest.approx((likely, 1 - likely))


def test_the_propensity_is_the_share_of_the_draws():
    policy, a, b = Exp3Policy(), holding("a"), holding("b")
    choose(policy, a, b)
    for _ in range(100):
        answer(policy, a, 10.0, propensity=0.5)
    drawn = shares(policy, a, b)
    assert drawn["a"] > 0.6
    assert drawn == pytest.approx({"a": 1 - a.cost, "b": 1 - b.cost}, abs=0.03)
    candidate, propensity, _ = choose(policy, a, b)
    assert propensity == 1 - candidate.cost


def test_the_faster_variant_is_learned_and_the_slower_never_dropped():
    policy, fast, slow = Exp3Policy(), holding("fast"), holding("slow")
    picker, request, rng = Picker(policy), request_of(), random.Random(0)
    for _ in range(4000):
        candidate, propensity, _ = picker.pick([fast, slow], request, rng)
        answer(policy, candidate, 10.0 if candidate is fast else 100.0, propensity=propensity)
    assert 1 - fast.cost > 0.95
    assert 1 - slow.cost >= GAMMA_OF_TWO / 2 * (1 - 1e-9)


def test_the_only_candidate_is_certain():
    assert choose(Exp3Policy(), holding("only"))[1] == 1.0


def test_an_answer_of_a_variant_that_it_never_chose_is_learned():
    policy, stranger = Exp3Policy(), holding("stranger")
    answer(policy, stranger, 10.0)
    assert choose(policy, stranger)[1] == 1.0
