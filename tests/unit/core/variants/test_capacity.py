import random

import pytest

from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import Capacity, DeviceLimits, Taken
from router_backend.core.variants.load import Place
from router_backend.errors import ConfigurationError, NoVariantError

CPU, GPU = Variant("m_cpu", Device.CPU), Variant("m_gpu", Device.GPU)
OTHER_GPU = Variant("n_gpu", Device.GPU)


class Others:
    """Other processes, some of which have ended: their requests on the GPU, and what is reported to them."""

    def __init__(self, taken: Taken, *, of_the_living: Taken | None = None) -> None:
        self.taken = taken
        self.of_the_living = taken if of_the_living is None else of_the_living
        self.told: list[tuple[Device, Taken]] = []

    def publish(self, device: Device, taken: Taken) -> None:
        self.told.append((device, taken))

    def others(self, device: Device) -> Taken:
        return self.taken if device is Device.GPU else Taken()

    def forget_dead(self) -> bool:
        found = self.taken != self.of_the_living
        self.taken = self.of_the_living
        return found


def limited(limits: DeviceLimits, *, shared: Others | None = None) -> ModelRouter:
    """Two models on one GPU that is limited; the first one has a variant on the CPU as well."""
    router = ModelRouter(
        ModelSettings(device_limits={Device.GPU: limits}),
        capacity=Capacity(shared),
        clock=lambda: 0.0,
        rng=random.Random(0),
    )
    router.register_model("m", variants=[GPU, CPU])
    router.register_model("n", variants=[OTHER_GPU])
    return router


ON_GPU = RoutingContext(allowed_devices=frozenset({Device.GPU}))


def test_a_full_device_is_rejected_with_its_count_and_other_devices_are_not():
    router = limited(DeviceLimits(max_in_flight=2))
    held = [router.route_request("m", ON_GPU) for _ in range(2)]
    decision = router.route_request("m", RoutingContext())
    assert decision.variant == "m_cpu"
    reasons = {each.variant: each.reason_out for each in decision.candidates}
    assert reasons == {"m_cpu": None, "m_gpu": "gpu: 2 of 2 places are taken"}
    assert len(held) == 2


def test_a_whole_number_that_json_writes_as_a_fraction_is_shown_as_one():
    assert repr(DeviceLimits(max_in_flight=2.0).max_in_flight) == "2"


def test_the_limit_of_a_device_applies_to_all_models_together():
    router = limited(DeviceLimits(max_in_flight=1))
    held = router.route_request("m", ON_GPU)
    with pytest.raises(NoVariantError, match=r"\(n_gpu: gpu: 1 of 1 places are taken\)"):
        router.route_request("n", RoutingContext())
    router.record_execution(held, latency_ms=1.0)
    assert router.route_request("n", RoutingContext()).variant == "n_gpu"


@pytest.mark.parametrize(
    "outcome", [{"latency_ms": 1.0}, {}, {"error": Fault.ERROR}, {"latency_ms": float("nan")}]
)
def test_every_end_of_a_request_gives_its_place_back_once(outcome: dict[str, object]):
    router = limited(DeviceLimits(max_in_flight=2))
    first, second = (router.route_request("m", ON_GPU) for _ in range(2))
    router.record_execution(first, **outcome)
    router.record_execution(first, **outcome)
    assert router.backends()[Device.GPU].taken == 1
    router.record_execution(second)
    assert router.backends()[Device.GPU].taken == 0


def test_a_decision_that_is_dropped_gives_its_place_back():
    router = limited(DeviceLimits(max_in_flight=1))
    router.route_request("m", ON_GPU)
    assert router.route_request("m", ON_GPU).variant == "m_gpu"


def test_a_request_that_does_not_fit_beside_the_memory_in_flight_is_rejected():
    router = limited(DeviceLimits(max_memory_mb=1000.0))
    for _ in range(20):
        decision = router.route_request("m", ON_GPU)
        router.record_execution(decision, latency_ms=10.0, memory_mb=600.0)
    held = router.route_request("m", ON_GPU)
    with pytest.raises(NoVariantError, match="gpu: 600 MB more would not fit, 600 of 1000 MB are taken"):
        router.route_request("m", ON_GPU)
    assert router.backends()[Device.GPU].taken_memory_mb == pytest.approx(600.0)
    router.record_execution(held, latency_ms=10.0, memory_mb=600.0)
    assert router.backends()[Device.GPU].taken_memory_mb == 0.0
    assert router.route_request("m", ON_GPU).variant == "m_gpu"


def test_a_request_takes_the_memory_of_its_own_size():
    router = limited(DeviceLimits(max_memory_mb=1000.0))
    on_gpu = frozenset({Device.GPU})
    for number in range(40):
        batch_size = 1 + number % 4
        decision = router.route_request("m", RoutingContext(batch_size=batch_size, allowed_devices=on_gpu))
        router.record_execution(decision, latency_ms=10.0, memory_mb=100.0 * batch_size)
    for batch_size in (16, 1, 16):
        context = RoutingContext(batch_size=batch_size, allowed_devices=on_gpu)
        if batch_size == 1:
            router.record_execution(router.route_request("m", context), latency_ms=10.0)
        else:
            with pytest.raises(NoVariantError, match=r"gpu: 1[56]\d\d MB more would not fit"):
                router.route_request("m", context)


@pytest.mark.parametrize(
    ("limit_mb", "memory_mb", "never"),
    [(1000.0, 1000.0, False), (1000.0, 1000.1, True), (1000.0, None, False), (None, 1e9, False)],
)
def test_a_request_never_fits_if_it_takes_more_than_all_memory_of_the_device(limit_mb, memory_mb, never):
    assert DeviceLimits(max_memory_mb=limit_mb).never_fits(memory_mb) is never


def test_a_request_of_unknown_memory_is_not_rejected_by_a_limit_of_memory():
    assert limited(DeviceLimits(max_memory_mb=1.0)).route_request("m", ON_GPU).variant == "m_gpu"


def test_requests_of_other_processes_count():
    router = limited(DeviceLimits(max_in_flight=8), shared=Others(Taken(8)))
    with pytest.raises(NoVariantError, match="gpu: 8 of 8 places are taken"):
        router.route_request("n", RoutingContext())


def test_requests_of_ended_processes_are_removed_before_any_rejection():
    router = limited(DeviceLimits(max_in_flight=8), shared=Others(Taken(8), of_the_living=Taken(7)))
    assert router.route_request("n", RoutingContext()).variant == "n_gpu"


def test_a_device_that_running_processes_fill_stays_rejected_with_their_count():
    router = limited(DeviceLimits(max_in_flight=8), shared=Others(Taken(20), of_the_living=Taken(9)))
    with pytest.raises(NoVariantError, match="gpu: 9 of 8 places are taken"):
        router.route_request("n", RoutingContext())


def taking_600_mb(limit_mb: float, shared: Others | None = None) -> ModelRouter:
    """Return a model whose requests take 600 MB of the GPU each."""
    router = limited(DeviceLimits(), shared=shared)
    for _ in range(20):
        decision = router.route_request("m", ON_GPU)
        router.record_execution(decision, latency_ms=10.0, memory_mb=600.0)
    settings = ModelSettings(device_limits={Device.GPU: DeviceLimits(max_memory_mb=limit_mb)})
    router.configure(lambda _: settings)
    return router


@pytest.mark.parametrize("before_mb", [500.0, 700.0])
def test_memory_of_other_processes_counts_until_they_end(before_mb: float):
    shared = Others(Taken(2, before_mb), of_the_living=Taken(1, 500.0))
    with pytest.raises(NoVariantError, match="gpu: 600 MB more would not fit, 500 of 1000 MB are taken"):
        taking_600_mb(1000.0, shared).route_request("m", ON_GPU)
    assert taking_600_mb(1101.0, shared).route_request("m", ON_GPU).variant == "m_gpu"


def test_a_device_may_be_filled_to_its_last_megabyte():
    capacity, place = Capacity(), Place(10.0, 0.0)
    capacity.take(place, Device.GPU, memory_mb=400.0)
    assert capacity.reason_out(Device.GPU, DeviceLimits(max_memory_mb=1000.0), memory_mb=600.0) is None
    assert capacity.reason_out(Device.GPU, DeviceLimits(max_memory_mb=1000.0), memory_mb=600.1)


def test_when_all_have_ended_no_rounding_error_of_memory_is_left():
    capacity, places = Capacity(), [Place(10.0, 0.0) for _ in range(3)]
    for place, memory_mb in zip(places, (0.1, 0.2, 0.3), strict=True):
        capacity.take(place, Device.GPU, memory_mb)
    assert capacity.taken(Device.GPU) == Taken(3, pytest.approx(0.6))
    for place in places:
        capacity.free(place)
    assert capacity.taken(Device.GPU) == Taken(0, 0.0)


def test_every_change_is_reported_to_other_processes():
    others = Others(Taken())
    router = limited(DeviceLimits(max_in_flight=8), shared=others)
    decision = router.route_request("n", RoutingContext())
    router.record_execution(decision, latency_ms=1.0)
    assert others.told == [(Device.GPU, Taken(1, 0.0)), (Device.GPU, Taken())]


def test_a_device_without_a_limit_is_not_counted():
    others = Others(Taken())
    router = limited(DeviceLimits(max_in_flight=8), shared=others)
    router.route_request("m", RoutingContext(allowed_devices=frozenset({Device.CPU})))
    assert others.told == []


def test_limits_can_change_while_requests_are_in_flight():
    router = limited(DeviceLimits(max_in_flight=1))
    before = router.route_request("n", RoutingContext())
    router.configure(lambda _: ModelSettings())
    uncounted = router.route_request("n", RoutingContext())
    limited_again = ModelSettings(device_limits={Device.GPU: DeviceLimits(max_in_flight=1)})
    router.configure(lambda _: limited_again)
    router.record_execution(uncounted)
    with pytest.raises(NoVariantError, match="1 of 1"):
        router.route_request("n", RoutingContext())
    router.record_execution(before)
    assert router.route_request("n", RoutingContext()).variant == "n_gpu"


@pytest.mark.parametrize("count", [0, -1, 1.5, float("nan"), float("inf")])
def test_a_limit_below_one_request_or_between_two_is_refused(count: float):
    with pytest.raises(ConfigurationError) as error:
        DeviceLimits(max_in_flight=count)
    assert str(error.value) == (
        f"max_in_flight: expected a whole number, at least 1, found {count}; "
        "leave it out where a device has no limit"
    )


@pytest.mark.parametrize("memory_mb", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_of_memory_that_is_not_above_zero_is_refused(memory_mb: float):
    with pytest.raises(ConfigurationError) as error:
        DeviceLimits(max_memory_mb=memory_mb)
    assert str(error.value) == (
        f"max_memory_mb: expected a number above 0, found {memory_mb}; "
        "leave it out where a device has no limit"
    )
