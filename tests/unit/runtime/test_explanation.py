"""The explanation of a decision for a client."""

import random

import pytest

from router_backend import Fault, ModelRouter, ModelSettings, RoutingContext, RoutingDecision, Variant
from router_backend.core.records.variant import Device
from router_backend.runtime.explanation import explain


@pytest.fixture
def decision() -> RoutingDecision:
    """Return a decision that was drawn between two variants; a third one is not allowed."""
    router = ModelRouter(ModelSettings(policy="random"), rng=random.Random(0))
    variants = [Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU), Variant("m_mps", Device.MPS)]
    router.register_model("m", variants=variants)
    return router.route_request("m", RoutingContext(allowed_variants=frozenset({"m_gpu", "m_cpu"})))


def test_the_probability_with_which_a_variant_was_drawn_is_explained(decision: RoutingDecision) -> None:
    assert explain(decision, 4.0, [])["propensity"] == 0.5


def test_the_decision_is_explained_with_the_outcome(decision: RoutingDecision) -> None:
    router = ModelRouter()
    router.register_model("m", variants=[Variant("m_old", Device.CPU)])
    failure = router.dispatch("m", RoutingContext()).next_attempt()
    failure.failed(Fault.ERROR, "out of memory")
    explanation = explain(decision, 4.56789, [failure])
    assert explanation["variant"] == decision.variant
    assert explanation["device"] == decision.device.value
    assert explanation["policy"] == "random"
    assert explanation["observed_ms"] == 4.568
    assert explanation["failed"] == [{"variant": "m_old", "error": "out of memory"}]
    assert explanation["fallbacks"] == ["m_cpu" if decision.variant == "m_gpu" else "m_gpu"]
    assert (explanation["experiment"], explanation["arm"]) == (None, None)


def test_every_variant_is_explained_rejected_ones_with_the_reason(decision: RoutingDecision) -> None:
    candidates = {entry["variant"]: entry for entry in explain(decision, None, [])["candidates"]}
    assert set(candidates) == {"m_gpu", "m_cpu", "m_mps"}
    assert candidates["m_gpu"]["reason_out"] is None
    assert candidates["m_mps"]["reason_out"]
    assert candidates["m_mps"]["score"] == 0.0


def test_a_dry_run_has_no_observations(decision: RoutingDecision) -> None:
    assert explain(decision, None, [])["observed_ms"] is None
