"""The effect of settings and goals on the decisions of a router with measured variants."""

import random

import pytest

from router_backend import (
    Device,
    ModelRouter,
    ModelSettings,
    OptimizationGoal,
    RoutingContext,
    RoutingDecision,
    Suitability,
    Variant,
)

MODEL = "resnet50"


class World:
    """A router with its own clock, whose variants have constant service times and power."""

    def __init__(self, settings: ModelSettings, *variants: Variant) -> None:
        self.now_s = 1000.0
        self.router = ModelRouter(settings, clock=lambda: self.now_s, rng=random.Random(0))
        self.router.register_model(MODEL, variants=variants)

    def serve(self, variant: str, latency_ms: float, *, count: int, every_ms: float, power_w: float) -> None:
        """Let a variant answer requests, one after another."""
        context = RoutingContext(allowed_variants=frozenset({variant}))
        for _ in range(count):
            decision = self.router.route_request(MODEL, context)
            self.now_s += latency_ms / 1e3
            self.router.record_execution(decision, latency_ms=latency_ms, power_w=power_w)
            self.now_s += (every_ms - latency_ms) / 1e3

    def decide(self, context: RoutingContext | None = None) -> RoutingDecision:
        """Return the decision for a request that is not sent."""
        decision = self.router.route_request(MODEL, context or RoutingContext())
        self.router.record_execution(decision)
        return decision


def scores(decision: RoutingDecision) -> dict[str, float]:
    return {candidate.variant: candidate.score for candidate in decision.candidates}


def measured_alike(settings: ModelSettings, *variants: Variant) -> World:
    """Return a router with idle variants that all take 10 ms and 50 W."""
    world = World(settings, *variants)
    for _ in range(20):
        for variant in variants:
            world.serve(variant.name, 10.0, count=1, every_ms=1000.0, power_w=50.0)
    return world


def of_work(name: str, prior_ms: float) -> Variant:
    return Variant(name, Device.GPU, suitability=Suitability(fixed_ms=prior_ms, per_item_ms=0.0))


def test_of_two_variants_measured_alike_the_adaptive_policy_prefers_the_one_with_less_work() -> None:
    world = measured_alike(ModelSettings(policy="adaptive"), of_work("heavy", 40.0), of_work("light", 4.0))
    found = scores(world.decide())
    assert found["light"] == 1.0
    assert found["heavy"] < 0.9


def test_with_a_weight_on_work_alone_the_cost_is_proportional_to_it() -> None:
    names = ("latency", "resource", "quantization", "dynamic_shape", "history")
    weights = {f"{name}_weight": "0" for name in names} | {"complexity_weight": "1"}
    settings = ModelSettings(policy="adaptive", policy_parameters=weights)
    world = measured_alike(settings, of_work("heavy", 40.0), of_work("light", 4.0))
    assert scores(world.decide()) == {"heavy": pytest.approx(0.1), "light": 1.0}


def test_throughput_leaves_a_busy_fast_device_free_sooner_than_latency_does() -> None:
    world = World(ModelSettings(), Variant("fast", Device.GPU), Variant("slow", Device.CPU))
    for _ in range(20):
        world.serve("slow", 20.0, count=1, every_ms=20.0, power_w=50.0)
        world.serve("fast", 10.0, count=30, every_ms=20.0, power_w=50.0)  # busy half of the time
    assert world.decide(RoutingContext(policy="latency")).variant == "fast"
    assert world.decide(RoutingContext(policy="throughput")).variant == "slow"


@pytest.mark.parametrize(
    ("goal", "policy"),
    [
        (OptimizationGoal.MINIMIZE_LATENCY, "latency"),
        (OptimizationGoal.MAXIMIZE_THROUGHPUT, "throughput"),
        (OptimizationGoal.MINIMIZE_POWER, "power"),
        (OptimizationGoal.BALANCED, "adaptive"),
    ],
)
def test_every_goal_has_a_policy_of_its_own(goal: OptimizationGoal, policy: str) -> None:
    world = World(ModelSettings(policy="round_robin"), Variant("only", Device.CPU))
    assert world.decide(RoutingContext(optimization_goal=goal)).policy == policy


@pytest.mark.parametrize(("weight", "chosen"), [(1.0, "thrifty"), (2.5, "thrifty"), (4.0, "hungry")])
def test_power_weighs_the_energy_by_the_weights_of_the_devices(weight: float, chosen: str) -> None:
    """The less efficient one takes three times the energy in the same time."""
    settings = ModelSettings(policy="power", device_weights={Device.CPU: weight})
    world = World(settings, Variant("hungry", Device.CPU), Variant("thrifty", Device.NEURAL_ENGINE))
    for _ in range(20):
        world.serve("hungry", 10.0, count=1, every_ms=1000.0, power_w=60.0)
        world.serve("thrifty", 10.0, count=1, every_ms=1000.0, power_w=20.0)
    assert world.decide().variant == chosen
