"""The devices as the router sees them: capabilities and current state."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import Capacity, DeviceLimits
from router_backend.core.variants.state import VariantState


@dataclass(frozen=True, slots=True)
class BackendCapabilities:
    """One device (the specification says backend): its variants and its state.

    Args:
        device: the device.
        available: whether at least one of its variants can take requests.
        variants: the names of all its variants.
        unavailable: those that can take none, each with the reason.
        concurrency: how many requests the variants that can take some serve at once, in total.
        in_flight: requests that this router has in flight there.
        taken: the same, including other router processes if the device has a limit.
        limits: the strictest limits of all models.
        taken_memory_mb: memory in MB that these requests are expected to take, if the device has a limit.
        utilization: how busy the same variants were over the last seconds, per instance; above 1 in
            overload.
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
    states: Iterable[VariantState],
    reasons_out: Mapping[str, str],
    limits: Mapping[Device, Sequence[DeviceLimits]],
    capacity: Capacity,
    now_s: float,
) -> dict[Device, BackendCapabilities]:
    """Return the devices that have variants, in the order of `Device`.

    `reasons_out` says why variants can take no request now, by name; `limits` are those of all models.
    """
    by_device: dict[Device, list[VariantState]] = {}
    for state in states:
        by_device.setdefault(state.variant.device, []).append(state)
    return {
        device: _backend(device, by_device[device], reasons_out, limits.get(device, ()), capacity, now_s)
        for device in Device
        if device in by_device
    }


def _backend(
    device: Device,
    states: Sequence[VariantState],
    reasons_out: Mapping[str, str],
    limits: Sequence[DeviceLimits],
    capacity: Capacity,
    now_s: float,
) -> BackendCapabilities:
    names = tuple(dict.fromkeys(state.variant.name for state in states))  # several models may share one
    unavailable = {name: reasons_out[name] for name in names if name in reasons_out}
    usable = [state.load for state in states if state.variant.name not in unavailable]
    concurrency = sum(load.concurrency for load in usable)
    busy = sum(load.utilization(now_s) * load.concurrency for load in usable)
    in_flight = sum(state.load.in_flight for state in states)
    taken = capacity.taken(device)
    return BackendCapabilities(
        device=device,
        available=len(unavailable) < len(names),
        variants=names,
        unavailable=unavailable,
        concurrency=concurrency,
        in_flight=in_flight,
        taken=max(taken.requests, in_flight),
        limits=_strictest(limits),
        taken_memory_mb=taken.memory_mb,
        utilization=busy / concurrency if concurrency else 0.0,
    )


def _strictest(limits: Sequence[DeviceLimits]) -> DeviceLimits:
    in_flight = [each.max_in_flight for each in limits if each.max_in_flight is not None]
    memory_mb = [each.max_memory_mb for each in limits if each.max_memory_mb is not None]
    return DeviceLimits(min(in_flight, default=None), min(memory_mb, default=None))
