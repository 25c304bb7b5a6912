"""The explanation of a decision for a client."""

import itertools
import random

import pytest

from router_backend import Fault, ModelRouter, ModelSettings, RoutingContext, RoutingDecision, Variant
from router_backend.core.records.suitability import Suitability
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


def answered(router: ModelRouter, latency_ms: float) -> None:
    """Let m_gpu answer twice, after which it is known."""
    for _ in range(2):
        decision = router.route_request("m", RoutingContext(allowed_variants=frozenset({"m_gpu"})))
        router.record_execution(decision, latency_ms=latency_ms)


def test_a_guess_is_no_prediction() -> None:
    router = ModelRouter(rng=random.Random(0))
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
    explanation = explain(router.route_request("m", RoutingContext()), None, [])
    assert (explanation["predicted_ms"], explanation["interval_ms"]) == (None, None)
    assert (explanation["basis"], explanation["confidence"]) == ("guess", 0.0)
    told = [(each["predicted_ms"], each["basis"]) for each in explanation["candidates"]]
    assert told == [(None, "guess")] * 2
    assert "not measured yet" in explanation["reason"]


def test_a_measured_prediction_is_told_beside_a_guess() -> None:
    router = ModelRouter(rng=random.Random(0), clock=itertools.count().__next__)
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
    answered(router, 4.0)
    explanation = explain(router.route_request("m", RoutingContext(batch_size=8)), None, [])
    assert (explanation["variant"], explanation["basis"]) == ("m_gpu", "measured")
    predicted_ms = pytest.approx(4.0 * (1 + 8) / 2)  # half of it is assumed to grow with the size
    assert explanation["predicted_ms"] == predicted_ms
    low, high = explanation["interval_ms"]
    assert low < explanation["predicted_ms"] < high
    bases = {each["variant"]: (each["predicted_ms"], each["basis"]) for each in explanation["candidates"]}
    assert bases == {"m_gpu": (predicted_ms, "measured"), "m_cpu": (None, "guess")}


def test_a_prior_is_told_as_such() -> None:
    prior = Suitability(fixed_ms=2.0, per_item_ms=1.0)
    router = ModelRouter(rng=random.Random(0))
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU, suitability=prior)])
    explanation = explain(router.route_request("m", RoutingContext()), None, [])
    assert (explanation["predicted_ms"], explanation["basis"]) == (3.0, "prior")


def test_a_rejected_variant_has_no_basis(decision: RoutingDecision) -> None:
    bases = {entry["variant"]: entry["basis"] for entry in explain(decision, None, [])["candidates"]}
    assert bases == {"m_gpu": "guess", "m_cpu": "guess", "m_mps": None}


def test_a_dry_run_has_no_observations(decision: RoutingDecision) -> None:
    assert explain(decision, None, [])["observed_ms"] is None
