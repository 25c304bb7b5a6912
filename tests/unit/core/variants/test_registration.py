"""Characteristics that are given at registration suffice for suitability and priors."""

from dataclasses import replace

import pytest

from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import UNKNOWN, Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.variants.device_fit import fit
from router_backend.errors import NoVariantError

SPECIFIED = ModelCharacteristics(
    "resnet50", parameter_count=25_000_000, supports_gpu=True, supports_neural_engine=True
)
"""What the specification's example states."""
MEASURED = replace(SPECIFIED, parameter_bytes=100_000_000, macs=4_000_000_000, activation_bytes=150_000_000)


def registered(variant: Variant, characteristics: ModelCharacteristics | None) -> Variant:
    router = ModelRouter(clock=lambda: 0.0)
    router.register_model("resnet50", variants=[variant], characteristics=characteristics)
    return router.model("resnet50").state(variant.name).variant


@pytest.mark.parametrize("device", Device)
@pytest.mark.parametrize("given", [SPECIFIED, MEASURED])
def test_the_characteristics_of_the_model_give_each_variant_its_priors(
    device: Device, given: ModelCharacteristics
) -> None:
    variant = registered(Variant("v", device), given)
    assert variant.characteristics is given
    assert variant.suitability == fit(given, device)
    assert (variant.suitability.fixed_ms or 0.0) > 0.0
    assert (variant.suitability.per_item_ms or 0.0) > 0.0
    assert (variant.suitability.memory_mb or 0.0) >= 100.0


def test_the_specifications_example_is_routed_by_its_priors_before_anything_is_measured() -> None:
    router = ModelRouter(clock=lambda: 0.0)
    variants = [Variant(device.value, device) for device in Device]
    router.register_model("resnet50", variants=variants, characteristics=SPECIFIED)
    decision = router.route_request("resnet50", RoutingContext(batch_size=8))
    prior = fit(SPECIFIED, Device.GPU)
    assert decision.variant == "gpu"
    assert decision.expected_latency_ms == pytest.approx((prior.fixed_ms or 0) + 8 * (prior.per_item_ms or 0))


def test_a_variants_own_characteristics_give_its_priors() -> None:
    variant = registered(Variant("v", Device.CPU, characteristics=SPECIFIED), MEASURED)
    assert variant.characteristics is SPECIFIED
    assert variant.suitability == fit(SPECIFIED, Device.CPU)
    assert registered(variant, None).suitability == fit(SPECIFIED, Device.CPU)


def test_a_stated_suitability_is_kept() -> None:
    stated = Suitability(fixed_ms=1.0)
    assert registered(Variant("v", Device.CPU, suitability=stated), SPECIFIED).suitability is stated


def test_without_characteristics_nothing_is_assumed() -> None:
    assert registered(Variant("v", Device.CPU), None).suitability == UNKNOWN


def test_a_device_that_cannot_run_the_model_is_left_out_with_the_reason() -> None:
    router = ModelRouter(clock=lambda: 0.0)
    looping = ModelCharacteristics("m", operators={"Loop": 1}, control_flow=("Loop",))
    router.register_model("m", variants=[Variant("v", Device.MPS)], characteristics=looping)
    with pytest.raises(NoVariantError, match="the model uses Loop, which mps cannot run"):
        router.route_request("m", RoutingContext())
