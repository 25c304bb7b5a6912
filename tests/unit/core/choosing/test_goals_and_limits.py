import random

import pytest

from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.request import OptimizationGoal, RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.errors import DeadlineError, InvalidRequestError, NoVariantError

VARIANTS = (Variant("cpu", Device.CPU), Variant("gpu", Device.GPU), Variant("ane", Device.NEURAL_ENGINE))
SERVICE_MS = {"cpu": 12.0, "gpu": 9.0, "ane": 10.0}
MEMORY_MB = {"cpu": 100.0, "gpu": 900.0, "ane": 300.0}
POWER_W = {"cpu": 60.0, "gpu": 250.0, "ane": 5.0}


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def router_of(config: ModelSettings | None = None, learn: bool = True) -> ModelRouter:
    """A router that has seen each variant serve twenty requests, long ago."""
    clock = Clock()
    router = ModelRouter(clock=clock, rng=random.Random(0))
    router.register_model("resnet50", variants=VARIANTS, config=config)
    for name in SERVICE_MS if learn else ():
        for _ in range(20):
            decision = router.route_request("resnet50", RoutingContext(policy=f"static:{name}"))
            clock.now_s += SERVICE_MS[name] / 1e3
            router.record_execution(
                decision, latency_ms=SERVICE_MS[name], memory_mb=MEMORY_MB[name], power_w=POWER_W[name]
            )
    clock.now_s += 100.0
    return router


def chosen(router: ModelRouter, **context: object) -> str:
    decision = router.route_request("resnet50", RoutingContext(**context))
    router.record_execution(decision)
    return decision.variant


def test_the_fastest_is_chosen_where_nothing_else_is_said():
    assert chosen(router_of()) == "gpu"


def test_a_request_may_name_its_devices():
    assert chosen(router_of(), allowed_devices=frozenset({Device.CPU, Device.NEURAL_ENGINE})) == "ane"


def test_a_request_keeps_clear_of_what_takes_more_memory_than_it_allows():
    router = router_of()
    decision = router.route_request("resnet50", RoutingContext(max_memory_mb=200.0))
    assert decision.variant == "cpu"
    reasons = {c.variant: c.reason_out for c in decision.candidates}
    assert reasons["gpu"] == "expected to take 900 MB, above the request's 200 MB"


def test_a_request_keeps_clear_of_what_draws_more_power_than_it_allows():
    assert chosen(router_of(), max_power_w=50.0) == "ane"


def test_a_request_that_allows_less_than_any_variant_takes_is_refused_with_the_reasons():
    with pytest.raises(NoVariantError, match=r"cpu: expected to draw 60 W, above the request's 1 W; gpu: "):
        router_of().route_request("resnet50", RoutingContext(max_power_w=1.0))


def test_what_nothing_is_known_of_is_within_any_limit():
    router = router_of(learn=False)
    decision = router.route_request("resnet50", RoutingContext(max_memory_mb=1.0, max_power_w=1.0))
    assert (decision.expected_memory_mb, decision.expected_power_w) == (None, None)


def test_a_decision_says_what_it_expects_and_who_comes_next():
    decision = router_of().route_request("resnet50", RoutingContext())
    assert decision.expected_memory_mb == pytest.approx(900.0, rel=0.01)
    assert decision.expected_power_w == pytest.approx(250.0, rel=0.01)
    assert decision.fallbacks == ("ane", "cpu")
    assert decision.reason == "best by 'latency', expected in 9 ms; 3 of 3 variants could serve it"


def test_a_request_may_name_the_policy():
    router = router_of()
    decision = router.route_request("resnet50", RoutingContext(policy="static:cpu"))
    assert (decision.policy, decision.variant) == ("static", "cpu")
    assert router.route_request("resnet50", RoutingContext()).policy == "latency"


@pytest.mark.parametrize("policy", ["latancy", "static:tpu", "static", ""])
def test_a_request_for_a_policy_that_there_is_not_is_refused(policy):
    with pytest.raises(InvalidRequestError, match=r"model 'resnet50', .*expected"):
        router_of().route_request("resnet50", RoutingContext(policy=policy))


def test_the_goal_of_a_request_chooses_its_policy():
    router = router_of(ModelSettings(policy="round_robin"))
    context = RoutingContext(optimization_goal=OptimizationGoal.MINIMIZE_LATENCY)
    assert router.route_request("resnet50", context).policy == "latency"
    assert router.route_request("resnet50", RoutingContext()).policy == "round_robin"


def test_a_weight_makes_a_device_preferred():
    assert chosen(router_of(ModelSettings(device_weights={Device.NEURAL_ENGINE: 1.5}))) == "ane"


def test_a_preferred_device_is_left_only_where_it_costs_more_than_twice_as_much():
    assert chosen(router_of(ModelSettings(preferred_devices=frozenset({Device.CPU})))) == "cpu"
    weighty_gpu = {Device.GPU: 3.0}
    weights = ModelSettings(preferred_devices=frozenset({Device.CPU}), device_weights=weighty_gpu)
    assert chosen(router_of(weights)) == "gpu"


def test_the_deadline_of_the_model_holds_for_requests_that_name_none():
    router = router_of()
    router.reconfigure("resnet50", ModelSettings(max_latency_ms=9.5, refuse_late=True, policy="static:cpu"))
    assert chosen(router) == "gpu"
    with pytest.raises(DeadlineError):
        router.route_request("resnet50", RoutingContext(max_latency_ms=1.0))
    assert chosen(router, max_latency_ms=100.0) == "cpu"


def test_other_settings_at_run_time_keep_what_was_learned():
    router = router_of()
    router.reconfigure("resnet50", ModelSettings(policy="static:cpu", max_latency_ms=50.0))
    decision = router.route_request("resnet50", RoutingContext())
    assert (decision.policy, decision.variant) == ("static", "cpu")
    assert decision.expected_latency_ms == pytest.approx(12.0, rel=0.01)


def test_a_prior_stands_for_what_was_never_measured():
    variants = (
        Variant("slow", Device.CPU, suitability=Suitability(fixed_ms=2.0, per_item_ms=8.0)),
        Variant("fast", Device.GPU, suitability=Suitability(fixed_ms=3.0, per_item_ms=0.5, power_w=70.0)),
    )
    router = ModelRouter(clock=Clock())
    router.register_model("resnet50", variants=variants)
    decision = router.route_request("resnet50", RoutingContext(batch_size=8))
    assert decision.variant == "fast"
    assert decision.expected_latency_ms == pytest.approx(7.0)
    assert decision.expected_power_w == 70.0


def test_a_variant_on_a_device_that_cannot_run_the_model_is_out_with_the_reason():
    variants = (
        Variant("cpu", Device.CPU),
        Variant("ane", Device.NEURAL_ENGINE, suitability=Suitability("it has a Loop")),
        Variant("gpu", Device.GPU),
    )
    router = ModelRouter(clock=Clock())
    characteristics = ModelCharacteristics("resnet50", parameter_count=25_000_000, supports_gpu=False)
    router.register_model("resnet50", variants=variants, characteristics=characteristics)
    decision = router.route_request("resnet50", RoutingContext())
    assert decision.variant == "cpu"
    assert {c.variant: c.reason_out for c in decision.candidates} == {
        "cpu": None,
        "ane": "it has a Loop",
        "gpu": "the model is stated not to run on gpu",
    }


def test_a_policy_is_told_the_deadline_of_the_model():
    router = router_of(ModelSettings(policy="power"))
    assert chosen(router) == "ane"
    router.reconfigure("resnet50", ModelSettings(policy="power", max_latency_ms=10.2))
    assert chosen(router) == "gpu", "10 ms are in time, but not with the margin that the policy wants"
