"""What a device may hold at a time, over all that is routed to it, and what it holds now."""

import math
from dataclasses import dataclass
from typing import Protocol

from router_backend.core.records.variant import Device
from router_backend.core.variants.load import Place
from router_backend.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """The most that may be in flight on a device, whichever model and variant it is for.

    Args:
        max_in_flight: how many requests at a time; None: any number.
        max_memory_mb: how much memory the requests in flight may be expected to take together; None: any.
    """

    max_in_flight: int | None = None
    max_memory_mb: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that nothing could pass.

        Raises:
            ConfigurationError: fewer than one request, or memory that is not above 0.
        """
        if self.max_in_flight is not None and self.max_in_flight < 1:
            raise ConfigurationError(
                path="max_in_flight",
                expected="a whole number, at least 1",
                found=f"{self.max_in_flight}",
                fix="leave it out where a device has no limit",
            )
        if self.max_memory_mb is not None and not 0.0 < self.max_memory_mb < math.inf:
            raise ConfigurationError(
                path="max_memory_mb",
                expected="a number above 0",
                found=f"{self.max_memory_mb}",
                fix="leave it out where a device has no limit",
            )


UNLIMITED = DeviceLimits()


@dataclass(frozen=True, slots=True)
class Taken:
    """What is in flight on a device.

    Args:
        requests: how many.
        memory_mb: how much memory they are expected to take together, as far as that is known.
    """

    requests: int = 0
    memory_mb: float = 0.0


NOTHING = Taken()


class SharedCounts(Protocol):
    """What the routers of other processes have in flight on the same devices."""

    def publish(self, device: Device, taken: Taken) -> None:
        """Tell the others what this process has in flight on a device."""

    def others(self, device: Device) -> Taken:
        """What the others have in flight on a device."""

    def forget_dead(self) -> bool:
        """Leave out what processes had in flight that have ended; whether there were any."""


class Capacity:
    """Counts what is in flight on the devices that have limits, for all models of a router.

    A place counts from the decision to its record, and so does the memory that its request was expected to
    take when it was decided; what is not known counts as none. A decision that is dropped unrecorded counts
    until the next one for its model. The router's lock makes look and take one
    step. Processes that share their counts have no common lock: where several decide in the same instant,
    each of them may be one request above the limit, no more.

    Args:
        shared: the counts of other processes; None: there are none.

    Examples:
        >>> capacity = Capacity()
        >>> place = Place(predicted_ms=10.0, dispatched_s=0.0)
        >>> capacity.take(place, Device.GPU, memory_mb=None)
        >>> capacity.reason_out(Device.GPU, DeviceLimits(max_in_flight=1), memory_mb=None)
        'gpu: 1 of 1 places are taken'
        >>> capacity.free(place)
        >>> capacity.taken(Device.GPU).requests
        0
    """

    def __init__(self, shared: SharedCounts | None = None) -> None:
        self._shared = shared
        self._own: dict[Device, Taken] = {}
        self.held: dict[Place, tuple[Device, float]] = {}

    def reason_out(self, device: Device, limits: DeviceLimits, memory_mb: float | None) -> str | None:
        """Why a device has no room for one more request; None: it has.

        Args:
            device: the device.
            limits: what it may hold.
            memory_mb: what the request is expected to take; None: not known.
        """
        reason = _reason(device, limits, self.taken(device), memory_mb)
        if reason is not None and self._shared is not None and self._shared.forget_dead():
            reason = _reason(device, limits, self.taken(device), memory_mb)
        return reason

    def taken(self, device: Device) -> Taken:
        """What is in flight on a device, in this process and in those that share with it."""
        own = self._own.get(device, NOTHING)
        if self._shared is None:
            return own
        others = self._shared.others(device)
        return Taken(own.requests + others.requests, own.memory_mb + others.memory_mb)

    def take(self, place: Place, device: Device, memory_mb: float | None) -> None:
        """A request is sent to a device."""
        held_mb = memory_mb or 0.0
        self.held[place] = (device, held_mb)
        self._add(device, 1, held_mb)

    def free(self, place: Place) -> None:
        """A request has ended; one that was sent while its device had no limit was not counted."""
        held = self.held.pop(place, None)
        if held is not None:
            device, held_mb = held
            self._add(device, -1, -held_mb)

    def _add(self, device: Device, requests: int, memory_mb: float) -> None:
        own = self._own.get(device, NOTHING)
        left = own.requests + requests
        # Nothing in flight takes nothing: what rounding leaves of sums and differences must not stay.
        taken = Taken(left, own.memory_mb + memory_mb) if left else NOTHING
        self._own[device] = taken
        if self._shared is not None:
            self._shared.publish(device, taken)


def _reason(device: Device, limits: DeviceLimits, taken: Taken, memory_mb: float | None) -> str | None:
    most = limits.max_in_flight
    if most is not None and taken.requests >= most:
        return f"{device.value}: {taken.requests} of {most} places are taken"
    most_mb = limits.max_memory_mb
    if most_mb is not None and memory_mb is not None and taken.memory_mb + memory_mb > most_mb:
        return (
            f"{device.value}: {memory_mb:.4g} MB more would not fit, "
            f"{taken.memory_mb:.4g} of {most_mb:g} MB are taken"
        )
    return None
