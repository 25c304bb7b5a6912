import pytest

from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import DeviceLimits

LIMITS = DeviceLimits(max_in_flight=8)


def make_router(*variants: Variant, limits: DeviceLimits = LIMITS) -> ModelRouter:
    router = ModelRouter(ModelSettings(device_limits={Device.GPU: limits}), clock=lambda: 0.0)
    router.register_model("m", variants=variants)
    return router


def test_only_devices_with_variants_are_listed():
    backends = make_router(Variant("g", Device.GPU), Variant("c", Device.CPU)).backends()
    assert list(backends) == [Device.CPU, Device.GPU]
    assert [each.device for each in backends.values()] == [Device.CPU, Device.GPU]
    assert backends[Device.GPU].variants == ("g",)
    assert backends[Device.GPU].limits == LIMITS
    assert backends[Device.CPU].limits == DeviceLimits()


def test_a_device_is_available_as_long_as_one_variant_is():
    router = make_router(Variant("g", Device.GPU), Variant("h", Device.GPU))
    router.model("m").set_ready("g", "not ready: gone")
    assert router.backends()[Device.GPU].available
    assert router.backends()[Device.GPU].unavailable == {"g": "not ready: gone"}
    router.model("m").set_ready("h", "not ready: gone")
    assert not router.backends()[Device.GPU].available


def test_a_device_is_not_available_if_the_only_variant_of_two_models_is_out():
    router = make_router(Variant("g", Device.GPU))
    router.register_model("n", variants=[Variant("g", Device.GPU)])
    for name in ("m", "n"):
        router.model(name).set_ready("g", "not ready: gone")
    assert router.backends()[Device.GPU].variants == ("g",)
    assert not router.backends()[Device.GPU].available


def test_the_variants_of_every_model_that_are_out_are_listed_with_their_reasons():
    router = make_router(Variant("g", Device.GPU))
    router.register_model("n", variants=[Variant("h", Device.GPU)])
    router.model("m").set_ready("g", "not ready: gone")
    router.model("n").set_ready("h", "not ready: loading")
    assert router.backends()[Device.GPU].unavailable == {"g": "not ready: gone", "h": "not ready: loading"}


def test_a_variant_that_its_device_cannot_run_is_not_available():
    router = make_router(Variant("g", Device.GPU, suitability=Suitability("no such operator")))
    assert router.backends()[Device.GPU].unavailable == {"g": "no such operator"}


def test_a_device_whose_only_variant_died_is_not_available():
    router = make_router(Variant("g", Device.GPU))
    decision = router.route_request("m", RoutingContext())
    router.record_execution(decision, error=Fault.DEAD)
    assert not router.backends()[Device.GPU].available


def test_requests_in_flight_are_counted_over_models_with_and_without_a_limit():
    router = make_router(Variant("g", Device.GPU), Variant("c", Device.CPU, concurrency=2))
    router.register_model("n", variants=[Variant("n_gpu", Device.GPU)])
    held = [router.route_request("m", RoutingContext(allowed_variants=frozenset({name}))) for name in "gcc"]
    held.append(router.route_request("n", RoutingContext()))
    backends = router.backends()
    assert (backends[Device.GPU].in_flight, backends[Device.GPU].taken) == (2, 2)
    assert (backends[Device.CPU].in_flight, backends[Device.CPU].taken) == (2, 2)
    assert (backends[Device.CPU].concurrency, backends[Device.GPU].concurrency) == (2, 2)
    assert len(held) == 4


def test_the_strictest_limits_of_the_models_are_reported():
    router = make_router(Variant("g", Device.GPU))
    stricter = ModelSettings(device_limits={Device.GPU: DeviceLimits(max_in_flight=4, max_memory_mb=100.0)})
    router.register_model("n", variants=[Variant("n_gpu", Device.GPU)], settings=stricter)
    assert router.backends()[Device.GPU].limits == DeviceLimits(max_in_flight=4, max_memory_mb=100.0)


def test_utilization_is_that_of_all_places_of_the_device():
    router = make_router(Variant("busy", Device.GPU), Variant("idle", Device.GPU))
    busy = RoutingContext(allowed_variants=frozenset({"busy"}))
    for _ in range(3):
        router.record_execution(router.route_request("m", busy), latency_ms=100.0)
    alone = router.model("m").state("busy").load.utilization(0.0)
    assert alone > 0.0
    assert router.backends()[Device.GPU].utilization == pytest.approx(alone / 2)


def test_in_the_utilization_of_a_device_a_variant_counts_by_its_concurrency():
    router = make_router(Variant("busy", Device.GPU, concurrency=3), Variant("idle", Device.GPU))
    busy = RoutingContext(allowed_variants=frozenset({"busy"}))
    router.record_execution(router.route_request("m", busy), latency_ms=100.0)
    alone = router.model("m").state("busy").load.utilization(0.0)
    assert alone > 0.0
    assert router.backends()[Device.GPU].utilization == pytest.approx(alone * 3 / 4)


def test_a_variant_that_can_take_no_requests_adds_no_concurrency():
    router = make_router(Variant("g", Device.GPU, concurrency=2), Variant("h", Device.GPU, concurrency=4))
    router.record_execution(router.route_request("m", RoutingContext()), latency_ms=100.0)
    router.model("m").set_ready("h", "not ready: gone")
    assert router.backends()[Device.GPU].concurrency == 2
    router.model("m").set_ready("g", "not ready: gone")
    gpu = router.backends()[Device.GPU]
    assert (gpu.concurrency, gpu.utilization, gpu.available) == (0, 0.0, False)
