"""The devices as the router sees them: what they can do, and how they stand now."""

from collections.abc import Iterable
from dataclasses import dataclass

from router_backend.core.logical_model import LogicalModel
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import Capacity, DeviceLimits
from router_backend.core.variants.profile import VariantProfile

ANY_REQUEST = RoutingContext()


@dataclass(frozen=True, slots=True)
class BackendCapabilities:
    """One device (the specification says backend): its variants and its state.

    Args:
        device: the device.
        available: whether at least one of its variants can take requests.
        variants: all of its variants, by name.
        unavailable: those that can take none, each with the reason.
        concurrency: how many requests its variants serve at once, together.
        in_flight: how many requests this router has in flight there.
        taken: the same with what other router processes have there, where the device has a limit.
        limits: what it may hold, the strictest of the models'.
        taken_memory_mb: how much memory those are expected to take, where the device has a limit.
        utilization: how busy its variants were over the last seconds, per place; above 1 in overload.
    """

    device: Device
    available: bool
    variants: tuple[str, ...]
    unavailable: dict[str, str]
    concurrency: int
    in_flight: int
    taken: int
    limits: DeviceLimits
    taken_memory_mb: float
    utilization: float


def backends_of(
    models: Iterable[LogicalModel], capacity: Capacity, now_s: float
) -> dict[Device, BackendCapabilities]:
    """The devices that have variants, in the order of `Device`."""
    by_device: dict[Device, list[VariantProfile]] = {}
    limits: dict[Device, list[DeviceLimits]] = {}
    for model in models:
        for device, stated in model.limits.items():
            limits.setdefault(device, []).append(stated)
        for profile in model.profiles.values():
            by_device.setdefault(profile.variant.device, []).append(profile)
    return {
        device: _backend(device, by_device[device], limits.get(device, []), capacity, now_s)
        for device in Device
        if device in by_device
    }


def _backend(
    device: Device,
    profiles: list[VariantProfile],
    limits: list[DeviceLimits],
    capacity: Capacity,
    now_s: float,
) -> BackendCapabilities:
    reasons = {profile.variant.name: profile.reason_out(ANY_REQUEST, now_s) for profile in profiles}
    concurrency = sum(profile.load.concurrency for profile in profiles)
    busy = sum(profile.load.utilization(now_s) * profile.load.concurrency for profile in profiles)
    in_flight = sum(profile.load.in_flight for profile in profiles)
    taken = capacity.taken(device)
    return BackendCapabilities(
        device=device,
        available=None in reasons.values(),
        variants=tuple(reasons),
        unavailable={name: reason for name, reason in reasons.items() if reason is not None},
        concurrency=concurrency,
        in_flight=in_flight,
        taken=max(taken.requests, in_flight),
        limits=_strictest(limits),
        taken_memory_mb=taken.memory_mb,
        utilization=busy / concurrency,
    )


def _strictest(limits: list[DeviceLimits]) -> DeviceLimits:
    in_flight = [each.max_in_flight for each in limits if each.max_in_flight is not None]
    memory_mb = [each.max_memory_mb for each in limits if each.max_memory_mb is not None]
    return DeviceLimits(min(in_flight, default=None), min(memory_mb, default=None))
