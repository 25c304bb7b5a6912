"""How a router decides, as one validated record."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.registry import NO_PARAMETERS, create_policy
from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import require


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The settings of the deciding part.

    Args:
        policy: the name of the policy that chooses.
        policy_parameters: the policy's own settings, as texts by name.
        preferred_devices: variants elsewhere are chosen only where these cost twice as much; empty: none are.
        device_weights: how much the variants on a device are preferred; 1 where nothing is said.
        device_limits: the highest number of requests in flight on a device, for all models together.
        max_latency_ms: the deadline of requests that name none; None: they have none.
        coverage: the share of latencies that a prediction interval is to hold.
        refuse_late: whether a request that no variant can answer within its deadline is refused at once;
            else it is served as soon as can be.
        hedge: whether a request that is slow at its variant is sent to another one as well.
        hedge_share: what such copies may add to the load, as a share.
        profiling: whether answers are learned from; else what is predicted stays as it is.
        overdue_factor: a call is overdue, and its request goes to another variant, after this multiple of
            the upper end of its prediction interval; 0: never.
        overdue_min_ms: but no call is overdue before, unless half of its request's deadline has passed and
            late requests are refused.
        overdue_max_ms: a call to a measured variant is overdue after this, even if it should take longer.
        overdue_unmeasured_ms: when a call to a variant that was never measured is overdue.
    """

    policy: str = LatencyOptimizedPolicy.name
    policy_parameters: Mapping[str, str] = field(default_factory=lambda: NO_PARAMETERS)
    preferred_devices: frozenset[Device] = frozenset()
    device_weights: Mapping[Device, float] = field(default_factory=lambda: MappingProxyType({}))
    device_limits: Mapping[Device, DeviceLimits] = field(default_factory=lambda: MappingProxyType({}))
    max_latency_ms: float | None = None
    coverage: float = 0.9
    refuse_late: bool = False
    profiling: bool = True
    hedge: bool = False
    hedge_share: float = 0.05
    overdue_factor: float = 10.0
    overdue_min_ms: float = 1000.0
    overdue_max_ms: float = 60_000.0
    overdue_unmeasured_ms: float = 30_000.0

    NOT_PREFERRED_FACTOR: ClassVar[float] = 0.5
    LOWEST_WEIGHT: ClassVar[float] = 1e-6
    HIGHEST_WEIGHT: ClassVar[float] = 1e6

    def __post_init__(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            ConfigurationError: an unknown policy or parameter of it, a coverage outside (0, 1), a weight or
                deadline that is not above 0, an overdue time that is not above 0 or a negative factor.
        """
        create_policy(self.policy, self.policy_parameters)
        for device, weight in self.device_weights.items():
            path, fix = f"device_weights.{device.value}", "1 is neutral, 2 prefers the device twice as much"
            require(0.0 < weight < math.inf, path, "a number above 0", weight, fix=fix)
        deadline_ms = self.max_latency_ms
        valid = deadline_ms is None or 0.0 < deadline_ms < math.inf
        require(valid, "max_latency_ms", "a number above 0", deadline_ms)
        require(0.0 < self.coverage < 1.0, "coverage", "a number between 0 and 1", self.coverage)
        require(0.0 <= self.hedge_share <= 1.0, "hedge_share", "a number from 0 to 1", self.hedge_share)
        factor = self.overdue_factor
        require(0.0 <= factor < math.inf, "overdue_factor", "a number of at least 0", factor)
        for name in ("overdue_min_ms", "overdue_max_ms", "overdue_unmeasured_ms"):
            value = getattr(self, name)
            require(0.0 < value < math.inf, name, "a number above 0", value)

    def new_policy(self) -> Policy:
        """A new policy, as the settings ask for it."""
        return create_policy(self.policy, self.policy_parameters)

    def weight(self, device: Device) -> float:
        """How much variants on a device are preferred; within limits, so that costs stay comparable."""
        weight = self.device_weights.get(device, 1.0)
        if self.preferred_devices and device not in self.preferred_devices:
            weight *= self.NOT_PREFERRED_FACTOR
        return min(max(weight, self.LOWEST_WEIGHT), self.HIGHEST_WEIGHT)
