"""Limits on what is in flight on a device, and what is in flight there now."""

import math
from dataclasses import dataclass
from typing import Protocol

from router_backend.core.records.variant import Device
from router_backend.core.variants.load import Place
from router_backend.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """Limits on what is in flight on a device, for all models and variants together.

    Args:
        max_in_flight: the highest number of requests; `None` for no limit.
        max_memory_mb: the highest total memory that they are expected to take; `None` for no limit.
    """

    max_in_flight: int | None = None
    max_memory_mb: float | None = None

    def __post_init__(self) -> None:
        """Reject limits that mean nothing, or that no request could meet.

        Raises:
            ConfigurationError: no whole number of requests, fewer than one, or memory that is not above 0.
        """
        if self.max_in_flight is not None:
            if not 1 <= self.max_in_flight < math.inf or self.max_in_flight % 1:
                raise ConfigurationError(
                    path="max_in_flight",
                    expected="a whole number, at least 1",
                    found=f"{self.max_in_flight}",
                    fix="leave it out where a device has no limit",
                )
            object.__setattr__(self, "max_in_flight", int(self.max_in_flight))  # JSON's 2.0 is 2
        if self.max_memory_mb is not None and not 0.0 < self.max_memory_mb < math.inf:
            raise ConfigurationError(
                path="max_memory_mb",
                expected="a number above 0",
                found=f"{self.max_memory_mb}",
                fix="leave it out where a device has no limit",
            )

    def never_fits(self, memory_mb: float | None) -> bool:
        """Return whether a request of `memory_mb` (if known) has no room even on an idle device."""
        return self.max_memory_mb is not None and memory_mb is not None and memory_mb > self.max_memory_mb


UNLIMITED = DeviceLimits()


@dataclass(frozen=True, slots=True)
class Taken:
    """What is in flight on a device.

    Args:
        requests: how many.
        memory_mb: memory that they are expected to take in total, as far as that is known.
    """

    requests: int = 0
    memory_mb: float = 0.0


NONE_TAKEN = Taken()


class SharedCounts(Protocol):
    """What the routers of other processes have in flight on the same devices."""

    def publish(self, device: Device, taken: Taken) -> None:
        """Publish what this process has in flight on a device."""

    def others(self, device: Device) -> Taken:
        """Return what the other processes have in flight on a device."""

    def forget_dead(self) -> bool:
        """Void the counts of processes that have ended; return whether there were any."""


class Capacity:
    """Counts what is in flight on the devices that have limits, for all models of a router.

    A request counts from its decision until it is recorded, with the memory that it was expected to take
    when it was decided, 0 if unknown. A decision that is dropped unrecorded counts until the next one for its
    model. The router's lock makes checking and taking one step. Processes that share their counts have no
    common lock: if several decide at the same moment, each may exceed the limit by one request, no more.

    Args:
        shared: the counts of other processes; `None` if there are none.

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
        """Return why a device has no room for a request of `memory_mb` (if known); `None` if it has."""
        reason = _reason(device, limits, self.taken(device), memory_mb)
        if reason is not None and self._shared is not None and self._shared.forget_dead():
            reason = _reason(device, limits, self.taken(device), memory_mb)
        return reason

    def taken(self, device: Device) -> Taken:
        """Return what is in flight on a device, in all processes that share counts."""
        own = self._own.get(device, NONE_TAKEN)
        if self._shared is None:
            return own
        others = self._shared.others(device)
        return Taken(own.requests + others.requests, own.memory_mb + others.memory_mb)

    def take(self, place: Place, device: Device, memory_mb: float | None) -> None:
        """Count a request that is sent to a device."""
        held_mb = memory_mb or 0.0
        self.held[place] = (device, held_mb)
        self._add(device, 1, held_mb)

    def free(self, place: Place) -> None:
        """Remove a request that has ended, unless its device had no limit when it was sent."""
        held = self.held.pop(place, None)
        if held is not None:
            device, held_mb = held
            self._add(device, -1, -held_mb)

    def _add(self, device: Device, requests: int, memory_mb: float) -> None:
        own = self._own.get(device, NONE_TAKEN)
        left = own.requests + requests
        # The sum of memory must not keep a rounding error when nothing is in flight.
        taken = Taken(left, own.memory_mb + memory_mb) if left else NONE_TAKEN
        self._own[device] = taken
        if self._shared is not None:
            self._shared.publish(device, taken)


def _reason(device: Device, limits: DeviceLimits, taken: Taken, memory_mb: float | None) -> str | None:
    limit = limits.max_in_flight
    if limit is not None and taken.requests >= limit:
        return f"{device.value}: {taken.requests} of {limit} places are taken"
    limit_mb = limits.max_memory_mb
    if limit_mb is not None and memory_mb is not None and taken.memory_mb + memory_mb > limit_mb:
        return (
            f"{device.value}: {memory_mb:.4g} MB more would not fit, "
            f"{taken.memory_mb:.4g} of {limit_mb:g} MB are taken"
        )
    return None
