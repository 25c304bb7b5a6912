"""The policies for throughput, power and balance: what each prefers, and what it refuses to be told."""

import random

import pytest

from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.base import Policy
from router_backend.core.policies.energy import NOMINAL_POWER_W
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.policies.registry import create_policy
from router_backend.core.policies.throughput import ThroughputOptimizedPolicy
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.profile import VariantProfile
from router_backend.errors import ConfigurationError


def candidate(
    name: str,
    device: Device,
    service_ms: float,
    *,
    wait_ms: float = 0.0,
    utilization: float = 0.0,
    power_w: float | None = None,
    characteristics: ModelCharacteristics | None = None,
    suitability: Suitability | None = None,
) -> VariantProfile:
    stated = suitability or Suitability()
    profile = VariantProfile(
        Variant(name, device, characteristics=characteristics, suitability=stated), coverage=0.9
    )
    for _ in range(20):
        profile.latency.update(1.0, service_ms, 0.0)
    if power_w is not None:
        profile.power.update(1.0, power_w, 0.0)
    profile.size = 1.0
    profile.service_ms = service_ms
    profile.wait_ms = wait_ms
    profile.utilization = utilization
    return profile


def pick(policy: Policy, candidates: list[VariantProfile], context: RoutingContext | None = None) -> str:
    choice = policy.choose(candidates, context or RoutingContext(), 0.0, random.Random(0))
    return choice.candidate.variant.name


def saturated(name: str, service_ms: float, wait_ms: float) -> VariantProfile:
    profile = candidate(name, Device.GPU, service_ms, wait_ms=wait_ms, utilization=1.0)
    profile.load.enter(10.0, 0.0)
    return profile


def test_where_all_are_saturated_throughput_prefers_the_least_work_over_the_first_answer() -> None:
    late_but_cheap, soon_but_dear = saturated("cheap", 5.0, 31.0), saturated("dear", 30.0, 5.0)
    assert late_but_cheap.latency_ms > soon_but_dear.latency_ms
    assert pick(ThroughputOptimizedPolicy(), [late_but_cheap, soon_but_dear]) == "cheap"


def test_a_growing_backlog_makes_work_dear() -> None:
    crowded, free = saturated("crowded", 5.0, 200.0), saturated("free", 30.0, 5.0)
    assert pick(ThroughputOptimizedPolicy(), [crowded, free]) == "free"


def test_below_saturation_throughput_prefers_what_answers_first() -> None:
    quick, slow = candidate("quick", Device.GPU, 5.0), candidate("slow", Device.CPU, 30.0)
    assert pick(ThroughputOptimizedPolicy(), [slow, quick]) == "quick"


def test_least_energy_is_chosen_among_those_that_are_fast_enough() -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 20.0, power_w=8.0)
    quick = candidate("quick", Device.GPU, 5.0, power_w=70.0)
    both = [quick, thrifty]
    assert pick(PowerEfficientPolicy(), both) == "thrifty"
    assert pick(PowerEfficientPolicy(), both, RoutingContext(max_latency_ms=20.5)) == "quick"
    assert thrifty.cost > quick.cost, "what is late ranks behind"


def test_without_a_deadline_nobody_waits_for_the_thriftiest_without_an_end() -> None:
    crowded = candidate("crowded", Device.NEURAL_ENGINE, 5.0, wait_ms=100.0, power_w=8.0)
    assert pick(PowerEfficientPolicy(), [crowded, candidate("free", Device.GPU, 5.0, power_w=70.0)]) == "free"


@pytest.mark.parametrize(("wait_ms", "picked"), [(0.0, "thrifty"), (79.0, "thrifty"), (81.0, "quick")])
def test_what_is_late_anyway_is_served_by_the_least_product_of_energy_and_delay(
    wait_ms: float, picked: str
) -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 20.0, wait_ms=wait_ms, power_w=8.0)
    quick = candidate("quick", Device.GPU, 10.0, power_w=80.0)  # five times the energy, a bound of 20 ms
    assert pick(PowerEfficientPolicy(), [thrifty, quick], RoutingContext(max_latency_ms=1.0)) == picked


def test_a_little_less_of_a_wait_is_not_worth_a_hungry_device() -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 10.0, wait_ms=30.0, power_w=8.0)
    assert pick(PowerEfficientPolicy(), [thrifty, candidate("hungry", Device.CPU, 15.0, power_w=65.0)]) == (
        "thrifty"
    )


def test_the_time_of_a_busy_thrifty_device_is_kept_for_those_who_save_most_there() -> None:
    def both(quick_ms: float, utilization: float) -> list[VariantProfile]:
        return [
            candidate("thrifty", Device.NEURAL_ENGINE, 10.0, utilization=utilization, power_w=8.0),
            candidate("quick", Device.GPU, quick_ms, power_w=70.0),
        ]

    policy = PowerEfficientPolicy()
    for _ in range(30):
        assert pick(policy, both(10.0, 0.9)) == "thrifty"  # saves 620 mJ in 10 ms
    assert pick(policy, both(5.0, 0.0)) == "thrifty", "270 mJ, and nobody else is there"
    assert pick(policy, both(5.0, 0.9)) == "quick", "270 mJ, less than what its time is worth"


def test_power_that_was_never_measured_is_that_of_the_kind_of_device() -> None:
    assert min(NOMINAL_POWER_W, key=NOMINAL_POWER_W.__getitem__) is Device.NEURAL_ENGINE
    engine, gpu = candidate("engine", Device.NEURAL_ENGINE, 8.0), candidate("gpu", Device.GPU, 4.0)
    assert pick(PowerEfficientPolicy(), [gpu, engine]) == "engine"


def weights(**named: str) -> Policy:
    """The adaptive policy with these weights alone."""
    return create_policy("adaptive", dict.fromkeys(AdaptiveRoutingPolicy.DEFAULT_WEIGHTS, "0") | named)


def test_each_weight_decides_by_its_own_term() -> None:
    open_fp32 = ModelCharacteristics("m", dynamic_dimensions=("x[2]",))
    reduced = ModelCharacteristics("m", quantization=frozenset({"int8_weights"}))  # type: ignore[arg-type]
    a = candidate(
        "a",
        Device.NEURAL_ENGINE,
        8.0,
        power_w=8.0,
        characteristics=open_fp32,
        suitability=Suitability(fixed_ms=1.0, per_item_ms=0.0),
    )
    b = candidate(
        "b",
        Device.GPU,
        4.0,
        power_w=70.0,
        characteristics=reduced,
        suitability=Suitability(fixed_ms=2.0, per_item_ms=0.0),
    )
    a.successes, a.failures = 9, 1
    expected = {
        "latency_weight": "b",
        "resource_weight": "a",
        "complexity_weight": "a",
        "quantization_weight": "b",
        "dynamic_shape_weight": "b",
        "history_weight": "b",
    }
    assert {name: pick(weights(**{name: "1"}), [a, b]) for name in expected} == expected


def test_the_balance_shifts_with_the_weights() -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 8.0, power_w=8.0)
    quick = candidate("quick", Device.GPU, 4.0, power_w=40.0)
    # Against the quick one, the thrifty one takes 100 % more latency and 60 % less energy.
    assert pick(weights(latency_weight="1", resource_weight="1.6"), [quick, thrifty]) == "quick"
    assert pick(weights(latency_weight="1", resource_weight="1.8"), [quick, thrifty]) == "thrifty"


def test_large_requests_decide_where_small_ones_may_go_anywhere() -> None:
    """The small one's three times the latency is little beside the mean; so is its energy."""

    def both(share: float) -> list[VariantProfile]:
        return [
            candidate("quick", Device.GPU, 40.0 * share, power_w=70.0),
            candidate("thrifty", Device.NEURAL_ENGINE, 120.0 * share, wait_ms=1.0, power_w=8.0),
        ]

    policy = weights(latency_weight="1", resource_weight="1")
    pick(policy, both(1.0))
    small = both(0.01)
    pick(policy, small)
    quick, thrifty = small
    assert thrifty.cost - quick.cost == pytest.approx(1.8 - 0.01 * 40.0 * (70 - 24) / 70, rel=0.02)


def test_what_a_model_is_not_known_for_counts_for_nobody() -> None:
    stated = candidate("stated", Device.GPU, 4.0, suitability=Suitability(fixed_ms=9.0, per_item_ms=0.0))
    unknown = candidate("unknown", Device.CPU, 4.0)
    pick(weights(complexity_weight="1"), [unknown, stated])
    assert stated.cost == pytest.approx(unknown.cost)


def test_the_balance_is_told_in_ms() -> None:
    quick = candidate("quick", Device.GPU, 4.0, power_w=70.0)
    slow = candidate("slow", Device.CPU, 16.0, power_w=70.0)
    assert pick(weights(latency_weight="1", resource_weight="1"), [slow, quick]) == "quick"
    assert (quick.cost, slow.cost) == (pytest.approx(8.0), pytest.approx(32.0)), "latency and as much energy"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("adaptive", {"latncy_weight": "1"}, "found 'latncy_weight' (did you mean 'latency_weight'?)"),
        ("adaptive", {"latency_weight": "-1"}, "expected a number of 0 or more, found '-1'"),
        ("adaptive", {"latency_weight": "nan"}, "expected a number of 0 or more, found 'nan'"),
        ("adaptive", {"latency_weight": "much"}, "expected a number of 0 or more, found 'much'"),
        (
            "adaptive",
            dict.fromkeys(AdaptiveRoutingPolicy.DEFAULT_WEIGHTS, "0"),
            "expected a weight above 0, found none",
        ),
        ("adaptive:x", {}, "expected 'adaptive' alone, found 'adaptive:x'"),
        ("power", {"patience": "1"}, "parameters: expected none, found 'patience'"),
        ("throughput", {"latency_weight": "1"}, "parameters: expected none, found 'latency_weight'"),
    ],
)
def test_what_a_policy_does_not_take_is_refused(name: str, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        create_policy(name, parameters)
    assert message in str(error.value)
