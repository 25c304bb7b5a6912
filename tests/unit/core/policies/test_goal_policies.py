"""The policies for throughput, power and balance: preferences and invalid settings."""

import math
import random
from collections.abc import Callable

import pytest

from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.base import Policy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.picker import Picker
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.policies.registry import create_policy
from router_backend.core.policies.throughput import ThroughputOptimizedPolicy
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import NOMINAL_POWER_W, Device, Variant
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import ConfigurationError
from tests.unit.core import candidates as core_candidates


def candidate(
    name: str,
    device: Device,
    service_ms: float,
    *,
    wait_ms: float = 0.0,
    utilization: float = 0.0,
    relative_sd: float = 0.0,
    concurrency: int = 1,
    weight: float = 1.0,
    power_w: float | None = None,
    characteristics: ModelCharacteristics | None = None,
    suitability: Suitability | None = None,
) -> Candidate:
    stated = suitability or Suitability()
    power = None
    if power_w is not None:
        power = ResourceModel()
        power.update(1.0, power_w)
    return Candidate(
        Variant(name, device, concurrency, characteristics=characteristics, suitability=stated),
        service_ms=service_ms,
        wait_ms=wait_ms,
        variance=relative_sd**2,
        utilization=utilization,
        concurrency=concurrency,
        weight=weight,
        power=power,
    )


def pick(policy: Policy, candidates: list[Candidate], context: RoutingContext | None = None) -> str:
    return core_candidates.pick(policy, *candidates, context=context)[0].variant.name


def score(policy: Policy, *candidates: Candidate, context: RoutingContext | None = None) -> list[float]:
    """Return the costs that a policy sets."""
    policy.score(candidates, core_candidates.request_of(context))
    return [each.cost for each in candidates]


def saturated(name: str, service_ms: float, wait_ms: float, weight: float = 1.0) -> Candidate:
    made = candidate(name, Device.GPU, service_ms, wait_ms=wait_ms, utilization=1.0, weight=weight)
    made.mean_service_ms = 10.0
    return made


def test_if_all_are_saturated_throughput_prefers_the_lowest_work_over_the_first_answer() -> None:
    late_but_cheap, soon_but_dear = saturated("cheap", 5.0, 31.0), saturated("dear", 30.0, 5.0)
    assert late_but_cheap.latency_ms > soon_but_dear.latency_ms
    assert pick(ThroughputOptimizedPolicy(), [late_but_cheap, soon_but_dear]) == "cheap"


def test_a_growing_backlog_makes_work_expensive() -> None:
    crowded, free = saturated("crowded", 5.0, 200.0), saturated("free", 30.0, 5.0)
    assert pick(ThroughputOptimizedPolicy(), [crowded, free]) == "free"


def test_below_saturation_throughput_prefers_the_first_answer() -> None:
    quick, slow = candidate("quick", Device.GPU, 5.0), candidate("slow", Device.CPU, 30.0)
    assert pick(ThroughputOptimizedPolicy(), [slow, quick]) == "quick"


def test_throughput_pays_only_twice_the_utilization_per_free_share() -> None:
    """W + E · (1 + 2u / ((1 - u) · c)), where the latency policy has 0.25 for 2 and two more terms."""
    busy = candidate("busy", Device.GPU, 9.0, wait_ms=4.0, utilization=0.5, concurrency=2)
    other = candidate("other", Device.CPU, 9.0, utilization=0.8)
    assert score(ThroughputOptimizedPolicy(), busy, other) == pytest.approx([4.0 + 9.0 * 2.0, 9.0 * 9.0])


def test_throughput_keeps_a_busy_device_free_that_latency_would_use() -> None:
    busy = candidate("busy", Device.GPU, 10.0, utilization=0.4)
    idle = candidate("idle", Device.CPU, 18.0)
    assert pick(LatencyOptimizedPolicy(), [busy, idle]) == "busy"
    assert pick(ThroughputOptimizedPolicy(), [busy, idle]) == "idle"


def test_the_priced_work_of_saturated_devices_is_by_instance() -> None:
    """S / c · e^(0.3 · (W - lowest W) / mean service per instance)."""
    short = candidate("short", Device.GPU, 6.0, wait_ms=5.0, utilization=1.0, concurrency=2)
    long = candidate("long", Device.CPU, 30.0, wait_ms=20.0, utilization=1.0)
    short.mean_service_ms, long.mean_service_ms = 10.0, 25.0
    assert score(ThroughputOptimizedPolicy(), short, long) == pytest.approx(
        [6.0 / 2, 30.0 * math.exp(0.3 * 15.0 / 15.0)]
    )


@pytest.mark.parametrize("utilization", [0.9, 0.91])
def test_devices_are_saturated_above_nine_tenths(utilization: float) -> None:
    """Above it, the work of 5 ms is cheaper than that of 30 ms in spite of the wait."""
    cheap = candidate("cheap", Device.GPU, 5.0, wait_ms=400.0, utilization=1.0)
    soon = candidate("soon", Device.CPU, 30.0, utilization=utilization)
    cheap.mean_service_ms = soon.mean_service_ms = 100.0
    assert pick(ThroughputOptimizedPolicy(), [cheap, soon]) == ("soon" if utilization <= 0.9 else "cheap")


def test_the_lowest_energy_is_chosen_among_variants_that_are_fast_enough() -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 20.0, power_w=8.0)
    quick = candidate("quick", Device.GPU, 5.0, power_w=70.0)
    both = [quick, thrifty]
    assert pick(PowerEfficientPolicy(), both) == "thrifty"
    assert pick(PowerEfficientPolicy(), both, RoutingContext(max_latency_ms=20.5)) == "quick"
    assert thrifty.cost > quick.cost, "what is late ranks behind"


def test_without_a_deadline_the_wait_for_the_most_efficient_is_bounded() -> None:
    crowded = candidate("crowded", Device.NEURAL_ENGINE, 5.0, wait_ms=100.0, power_w=8.0)
    assert pick(PowerEfficientPolicy(), [crowded, candidate("free", Device.GPU, 5.0, power_w=70.0)]) == "free"


@pytest.mark.parametrize(("wait_ms", "picked"), [(0.0, "thrifty"), (79.0, "thrifty"), (81.0, "quick")])
def test_late_requests_go_to_the_lowest_product_of_energy_and_delay(wait_ms: float, picked: str) -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 20.0, wait_ms=wait_ms, power_w=8.0)
    quick = candidate("quick", Device.GPU, 10.0, power_w=80.0)  # five times the energy, a bound of 20 ms
    assert pick(PowerEfficientPolicy(), [thrifty, quick], RoutingContext(max_latency_ms=1.0)) == picked


def test_a_slightly_shorter_wait_does_not_justify_an_inefficient_device() -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 10.0, wait_ms=30.0, power_w=8.0)
    assert pick(PowerEfficientPolicy(), [thrifty, candidate("hungry", Device.CPU, 15.0, power_w=65.0)]) == (
        "thrifty"
    )


def test_the_time_of_a_busy_efficient_device_is_kept_for_requests_that_save_most_there() -> None:
    def both(quick_ms: float, utilization: float) -> list[Candidate]:
        return [
            candidate("thrifty", Device.NEURAL_ENGINE, 10.0, utilization=utilization, power_w=8.0),
            candidate("quick", Device.GPU, quick_ms, power_w=70.0),
        ]

    policy = PowerEfficientPolicy()
    for _ in range(30):
        assert pick(policy, both(10.0, 0.9)) == "thrifty"  # saves 620 mJ in 10 ms
    assert pick(policy, both(5.0, 0.0)) == "thrifty", "270 mJ, and nobody else is there"
    assert pick(policy, both(5.0, 0.9)) == "quick", "270 mJ, less than what its time is worth"


@pytest.mark.parametrize(
    ("quick_ms", "deadline_ms"),
    [
        pytest.param(10.0, 20.0, id="an efficient one that would be late does not count"),
        pytest.param(15.0, 12.0, id="all count if nobody else is in time"),
    ],
)
def test_what_a_request_saves_is_compared_with_others_that_are_in_time(
    quick_ms: float, deadline_ms: float
) -> None:
    def candidates(quick_ms: float) -> list[Candidate]:
        return [
            candidate("thrifty", Device.NEURAL_ENGINE, 10.0, utilization=0.9, power_w=8.0),
            candidate("quick", Device.GPU, quick_ms, power_w=70.0),
        ]

    policy, context = PowerEfficientPolicy(), RoutingContext(max_latency_ms=deadline_ms)
    late = [candidate("late", Device.CPU, 50.0, power_w=2.0)] if deadline_ms > quick_ms else []
    for _ in range(30):
        assert pick(policy, candidates(quick_ms) + late, context) == "thrifty"
    assert pick(policy, candidates(5.0)) == "quick", "its time is worth more than 270 mJ"


def test_unmeasured_power_is_that_of_the_kind_of_device() -> None:
    assert min(NOMINAL_POWER_W, key=NOMINAL_POWER_W.__getitem__) is Device.NEURAL_ENGINE
    engine, gpu = candidate("engine", Device.NEURAL_ENGINE, 8.0), candidate("gpu", Device.GPU, 4.0)
    assert pick(PowerEfficientPolicy(), [gpu, engine]) == "engine"


@pytest.mark.parametrize("context", [RoutingContext(), RoutingContext(max_latency_ms=100.0)])
def test_a_weight_makes_energy_cheaper(context: RoutingContext) -> None:
    """The engine takes 64 mJ, the GPU 100 mJ."""

    def both(gpu_weight: float) -> list[Candidate]:
        return [
            candidate("engine", Device.NEURAL_ENGINE, 8.0, power_w=8.0),
            candidate("gpu", Device.GPU, 8.0, power_w=12.5, weight=gpu_weight),
        ]

    assert pick(PowerEfficientPolicy(), both(1.5), context) == "engine"
    assert pick(PowerEfficientPolicy(), both(1.7), context) == "gpu"


def test_no_weight_makes_power_miss_a_deadline_that_another_meets() -> None:
    timely = candidate("timely", Device.GPU, 8.0, power_w=100.0, weight=0.01)
    late = candidate("late", Device.NEURAL_ENGINE, 9.8, power_w=8.0, weight=100.0)
    assert pick(PowerEfficientPolicy(), [late, timely], RoutingContext(max_latency_ms=10.0)) == "timely"


def test_power_costs_the_soonest_latency_times_the_energy_relative_to_the_lowest() -> None:
    engine = candidate("engine", Device.NEURAL_ENGINE, 8.0, power_w=8.0)
    gpu = candidate("gpu", Device.GPU, 4.0, power_w=32.0)
    assert score(PowerEfficientPolicy(), engine, gpu) == pytest.approx([4.0, 4.0 * 128.0 / 64.0])


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


def weights(**named: str) -> Policy:
    """Return the adaptive policy with only these weights."""
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
    a.failure_share = 0.1
    expected = {
        "latency_weight": "b",
        "resource_weight": "a",
        "complexity_weight": "a",
        "quantization_weight": "b",
        "dynamic_shape_weight": "b",
        "history_weight": "b",
    }
    for both in ([a, b], [b, a]):
        assert {name: pick(weights(**{name: "1"}), both) for name in expected} == expected


def test_work_costs_the_soonest_latency_times_the_prior_relative_to_its_own() -> None:
    soon = candidate("soon", Device.GPU, 4.0, suitability=Suitability(fixed_ms=2.0, per_item_ms=0.0))
    late = candidate("late", Device.GPU, 8.0, suitability=Suitability(fixed_ms=3.0, per_item_ms=0.0))
    assert score(weights(complexity_weight="1"), soon, late) == pytest.approx([4.0, 6.0])


def test_by_default_work_counts_an_eighth_of_latency_and_energy() -> None:
    def costs(prior_ms: float) -> list[float]:
        stated = Suitability(fixed_ms=2.0, per_item_ms=0.0), Suitability(fixed_ms=prior_ms, per_item_ms=0.0)
        return score(
            AdaptiveRoutingPolicy(),
            candidate("soon", Device.GPU, 4.0, power_w=50.0, suitability=stated[0]),
            candidate("late", Device.GPU, 8.0, power_w=50.0, suitability=stated[1]),
        )

    (_, light), (_, heavy) = costs(2.0), costs(6.0)
    assert heavy / light == pytest.approx((8.0 + 8.0 + 4.0 * 3 / 8) / (8.0 + 8.0 + 4.0 / 8))


def test_the_balance_shifts_with_the_weights() -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 8.0, power_w=8.0)
    quick = candidate("quick", Device.GPU, 4.0, power_w=40.0)
    # Compared with the quick one, the thrifty one has 100 % more latency and takes 60 % less energy.
    assert pick(weights(latency_weight="1", resource_weight="1.6"), [quick, thrifty]) == "quick"
    assert pick(weights(latency_weight="1", resource_weight="1.8"), [quick, thrifty]) == "thrifty"


def test_large_requests_weigh_more_than_small_ones() -> None:
    """For the small request, three times the latency is little compared with the mean; so is its energy."""

    def both(share: float) -> list[Candidate]:
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


def test_an_unknown_figure_counts_for_no_candidate() -> None:
    stated = candidate("stated", Device.GPU, 4.0, suitability=Suitability(fixed_ms=9.0, per_item_ms=0.0))
    unknown = candidate("unknown", Device.CPU, 4.0)
    pick(weights(complexity_weight="1"), [unknown, stated])
    assert stated.cost == pytest.approx(unknown.cost)


def test_the_balance_is_expressed_in_ms() -> None:
    quick = candidate("quick", Device.GPU, 4.0, power_w=70.0)
    slow = candidate("slow", Device.CPU, 16.0, power_w=70.0)
    assert pick(weights(latency_weight="1", resource_weight="1"), [slow, quick]) == "quick"
    assert (quick.cost, slow.cost) == (pytest.approx(8.0), pytest.approx(32.0)), "latency and as much energy"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        *(
            (
                {"latency_weight": text},
                f"parameters.latency_weight: expected a number of 0 or more, found '{text}'",
            )
            for text in ("-1", "nan", "inf", "much")
        ),
        (
            dict.fromkeys(AdaptiveRoutingPolicy.DEFAULT_WEIGHTS, "0"),
            "parameters: expected a weight above 0, found none; raise one of them",
        ),
    ],
)
def test_a_weight_that_is_wrong_is_refused_with_its_place(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        create_policy("adaptive", parameters)
    assert str(error.value) == f"policy 'adaptive': {message}"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("adaptive", {"latncy_weight": "1"}, "found 'latncy_weight' (did you mean 'latency_weight'?)"),
        ("adaptive:x", {}, "expected 'adaptive' alone, found 'adaptive:x'"),
        ("power", {"patience": "1"}, "parameters: expected none, found 'patience'"),
        ("throughput", {"latency_weight": "1"}, "parameters: expected none, found 'latency_weight'"),
    ],
)
def test_an_unknown_argument_of_a_policy_is_refused(
    name: str, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        create_policy(name, parameters)
    assert message in str(error.value)


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


def test_at_saturation_a_low_priority_waits_where_the_least_time_is_taken() -> None:
    crowded, free = saturated("crowded", 10.0, 60.0), saturated("free", 30.0, 5.0)

    def taken(priority: int) -> str:
        return pick(ThroughputOptimizedPolicy(), [crowded, free], RoutingContext(priority=priority))

    assert [taken(priority) for priority in (0, -1, -2)] == ["free", "crowded", "crowded"]


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
