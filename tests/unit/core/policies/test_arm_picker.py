import random
from collections import Counter, defaultdict

import pytest

from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.picker import Picker
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from tests.unit.core.candidates import candidate_of

ANY = RoutingContext()
VARIANTS = (Variant("cpu", Device.CPU), Variant("gpu", Device.GPU))


def router_with(experiment: Experiment) -> ModelRouter:
    router = ModelRouter(clock=lambda: 0.0, rng=random.Random(0))
    router.register_model("m", variants=VARIANTS)
    router.experiments.set([experiment])
    return router


def decide(router: ModelRouter, unit: str = "") -> tuple[str, float, str]:
    """Return the variant, the propensity and the policy of a decision that takes no time."""
    decision = router.route_request("m", RoutingContext(unit=unit))
    router.record_execution(decision)
    return decision.variant, decision.propensity, decision.policy


@pytest.mark.parametrize(
    ("treatment", "propensities"),
    [
        ("static:gpu", {"cpu": 0.75, "gpu": 0.25}),
        ("static:cpu", {"cpu": 1.0}),
        ("random", {"cpu": 0.875, "gpu": 0.125}),
    ],
)
def test_a_propensity_is_the_probability_of_the_variant_over_both_arms(treatment, propensities):
    router = router_with(Experiment("v2", "static:cpu", treatment, 0.25))
    decided = [decide(router) for _ in range(4000)]
    assert {(variant, propensity) for variant, propensity, _ in decided} == set(propensities.items())
    shares = Counter(variant for variant, *_ in decided)
    for variant, propensity in propensities.items():
        assert shares[variant] / 4000 == pytest.approx(propensity, abs=0.03)


def test_the_inverse_propensities_of_each_variant_average_to_one():
    router = router_with(Experiment("v2", "p2c", "exp3", 0.3))
    inverse = defaultdict(float)
    for _ in range(4000):
        decision = router.route_request("m", RoutingContext())
        inverse[decision.variant] += 1.0 / decision.propensity / 4000
        router.record_execution(decision, latency_ms=2.0 if decision.variant == "gpu" else 9.0)
    assert inverse == pytest.approx({"cpu": 1.0, "gpu": 1.0}, abs=0.1)


def test_sticky_units_have_the_propensity_over_all_units():
    router = router_with(Experiment("v2", "static:cpu", "static:gpu", 0.25))
    decided = {decide(router, str(unit))[:2] for unit in range(100)}
    assert decided == {("cpu", 0.75), ("gpu", 0.25)}


@pytest.mark.parametrize(
    ("fraction", "assign_by"), [(0.0, AssignBy.REQUEST), (1.0, AssignBy.REQUEST), (0.5, AssignBy.MODEL)]
)
def test_an_arm_that_is_not_drawn_has_the_propensities_of_its_policy(fraction, assign_by):
    experiment = Experiment("v2", "static:cpu", "static:gpu", fraction, assign_by=assign_by, guardrails=None)
    assert {propensity for _, propensity, _ in (decide(router_with(experiment)) for _ in range(20))} == {1.0}


def test_the_other_arm_takes_no_turn_of_a_round_robin():
    router = router_with(Experiment("v2", "static:cpu", "round_robin", 0.5))
    turns = [
        variant
        for variant, _, policy in (decide(router) for _ in range(200))
        if not policy.startswith("static")
    ]
    assert turns == ["cpu", "gpu"] * (len(turns) // 2) + ["cpu"] * (len(turns) % 2)


def test_the_costs_in_a_decision_are_those_of_the_policy_that_decided():
    router = router_with(Experiment("v2", "static:cpu", "static:gpu", 0.5))
    for _ in range(20):
        decision = router.route_request("m", RoutingContext())
        best = max(decision.candidates, key=lambda candidate: candidate.score)
        assert best.variant == decision.variant
        router.record_execution(decision)


def test_asking_for_the_odds_changes_no_later_pick():
    def picks(asked: int) -> list[tuple[str, bool]]:
        candidates = [candidate_of("cpu", 10.0), candidate_of("gpu", 10.2, relative_sd=0.55)]
        picker, request, rng = Picker(LatencyOptimizedPolicy()), Request(ANY, None, 0.0), random.Random(0)
        picked = []
        for _ in range(200):
            for _ in range(asked):
                picker.odds(candidates, request)
            candidate, _, probe = picker.pick(candidates, request, rng)
            picked.append((candidate.variant.name, probe))
        return picked

    assert picks(asked=3) == picks(asked=0)
    assert {probe for _, probe in picks(asked=0)} == {False, True}, "some explore"
