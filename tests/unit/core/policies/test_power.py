"""The power policy: the lowest energy among variants that are fast enough."""

import pytest

from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import NOMINAL_POWER_W, Device
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.policies.scored import candidate, pick, score


def test_the_lowest_energy_is_chosen_among_variants_that_are_fast_enough() -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 20.0, power_w=8.0)
    quick = candidate("quick", Device.GPU, 5.0, power_w=70.0)
    both = [quick, thrifty]
    assert pick(PowerEfficientPolicy(), both) == "thrifty"
    assert pick(PowerEfficientPolicy(), both, RoutingContext(max_latency_ms=20.5)) == "quick"
    assert thrifty.cost > quick.cost, "what is late ranks behind"


@pytest.mark.parametrize(("deadline_ms", "picked"), [(20.9, "thrifty"), (21.0, "quick")])
def test_a_request_is_in_time_if_a_twentieth_of_its_latency_is_left(deadline_ms: float, picked: str) -> None:
    """21 ms are enough for the 20 ms of the quick one; with less, both count, as if both were late."""
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 30.0, power_w=8.0)
    quick = candidate("quick", Device.GPU, 20.0, power_w=70.0)
    assert (
        pick(PowerEfficientPolicy(), [quick, thrifty], RoutingContext(max_latency_ms=deadline_ms)) == picked
    )


def test_rare_slow_answers_take_energy_too() -> None:
    steady = candidate("steady", Device.GPU, 4.0, power_w=10.0)
    erratic = candidate("erratic", Device.GPU, 4.0, power_w=10.0)
    erratic.excess = 0.5
    assert score(PowerEfficientPolicy(), steady, erratic) == pytest.approx([4.0, 6.0])


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


def test_power_costs_the_soonest_latency_where_the_energy_by_weight_is_lowest() -> None:
    engine = candidate("engine", Device.NEURAL_ENGINE, 8.0, power_w=8.0)
    gpu = candidate("gpu", Device.GPU, 4.0, power_w=32.0, weight=4.0)
    costs = score(PowerEfficientPolicy(), engine, gpu)
    assert [engine.cost / engine.weight, gpu.cost / gpu.weight] == pytest.approx([8.0, 4.0])
    assert costs == pytest.approx([8.0, 16.0])
