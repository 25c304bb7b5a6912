"""What the policies of all goals have in common: exploration, priorities and refused parameters."""

import random
from collections.abc import Callable

import pytest

from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.base import Policy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.picker import Picker
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.policies.registry import create_policy
from router_backend.core.policies.throughput import ThroughputOptimizedPolicy
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import ConfigurationError
from tests.unit.core import candidates as core_candidates
from tests.unit.core.policies.scored import candidate, pick, saturated, score


def probed(policy: str, *candidates: Candidate, deadline_ms: float | None = None) -> set[str]:
    """Return the candidates that 300 such requests probe."""
    picker, rng = Picker(create_policy(policy)), random.Random(0)
    request = core_candidates.request_of(RoutingContext(max_latency_ms=deadline_ms))
    picks = [picker.pick(candidates, request, rng) for _ in range(300)]
    return {candidate.variant.name for candidate, _, probe in picks if probe}


def uncertain_beside_best(utilization: float = 0.0) -> tuple[Candidate, Candidate]:
    """Return the best candidate, and one that might be better."""
    best = candidate("best", Device.GPU, 10.0, utilization=utilization, power_w=50.0)
    other = candidate("other", Device.GPU, 10.4, utilization=utilization, power_w=50.0, relative_sd=0.3)
    return best, other


@pytest.mark.parametrize("policy", ["latency", "throughput", "power", "adaptive"])
def test_every_goal_policy_explores(policy: str) -> None:
    assert probed(policy, *uncertain_beside_best()) == {"other"}


def test_throughput_does_not_explore_while_all_are_saturated() -> None:
    assert probed("throughput", *uncertain_beside_best(utilization=1.0)) == set()


def test_power_does_not_explore_where_the_request_would_be_late() -> None:
    assert probed("power", *uncertain_beside_best(), deadline_ms=10.6) == set()
    assert probed("power", *uncertain_beside_best(), deadline_ms=11.0) == {"other"}


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        (
            "adaptive",
            {"latency_weight": "1", "latncy_weight": "1"},
            f"parameters: expected only {', '.join(AdaptiveRoutingPolicy.DEFAULT_WEIGHTS)}, "
            "found 'latncy_weight' (did you mean 'latency_weight'?)",
        ),
        ("adaptive:x", {}, "expected 'adaptive' alone, found 'adaptive:x'"),
        ("power", {"patience": "1"}, "parameters: expected none, found 'patience'; remove them"),
        ("throughput", {"a": "1", "b": "2"}, "parameters: expected none, found 'a', 'b'; remove them"),
    ],
)
def test_an_unknown_argument_of_a_policy_is_refused(
    name: str, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        create_policy(name, parameters)
    assert str(error.value) == f"policy '{name.partition(':')[0]}': {message}"


def taught_power() -> Policy:
    """Return the power policy after requests that saved much energy at a busy engine."""
    policy = PowerEfficientPolicy()
    for _ in range(50):
        score(
            policy,
            candidate("engine", Device.NEURAL_ENGINE, 8.0, power_w=8.0, utilization=0.0),
            candidate("gpu", Device.GPU, 8.0, power_w=100.0),
        )
    return policy


PRIORITIES = (-9, -2, -1, 0, 1, 2, 3, 9)


@pytest.mark.parametrize(
    ("new_policy", "wanted", "other", "from_priority"),
    [
        (
            LatencyOptimizedPolicy,
            candidate("wanted", Device.GPU, 10.0, utilization=0.8),
            candidate("other", Device.GPU, 14.0),
            2,
        ),
        (
            ThroughputOptimizedPolicy,
            candidate("wanted", Device.GPU, 10.0, utilization=0.5),
            candidate("other", Device.GPU, 25.0),
            1,
        ),
        (
            ThroughputOptimizedPolicy,
            saturated("wanted", 30.0, 5.0),
            saturated("other", 5.0, 40.0),
            2,
        ),
        (
            taught_power,
            candidate("engine", Device.NEURAL_ENGINE, 8.0, power_w=8.0, utilization=1.0),
            candidate("gpu", Device.GPU, 8.0, power_w=20.0),
            3,
        ),
        (
            AdaptiveRoutingPolicy,
            candidate("wanted", Device.GPU, 10.0, utilization=0.8, power_w=20.0),
            candidate("other", Device.GPU, 14.0, power_w=20.0),
            1,
        ),
    ],
    ids=["latency", "throughput", "saturated", "power", "adaptive"],
)
def test_the_higher_the_priority_the_sooner_a_request_takes_what_later_ones_need(
    new_policy: Callable[[], Policy], wanted: Candidate, other: Candidate, from_priority: int
) -> None:
    taken = {
        priority: pick(new_policy(), [wanted, other], RoutingContext(priority=priority))
        for priority in PRIORITIES
    }
    assert [priority for priority in PRIORITIES if taken[priority] == wanted.variant.name] == [
        priority for priority in PRIORITIES if priority >= from_priority
    ]
