"""What the router knows about a request before it is served."""

import math
from dataclasses import dataclass
from enum import Enum

from router_backend.core.records.variant import Device, Variant
from router_backend.errors import InvalidRequestError

MAX_PRIORITY = 10
"""Priorities above this, and below its negative, count as these."""


class OptimizationGoal(str, Enum):
    """The objective to optimize for."""

    MINIMIZE_LATENCY = "minimize_latency"
    MAXIMIZE_THROUGHPUT = "maximize_throughput"
    MINIMIZE_POWER = "minimize_power"
    BALANCED = "balanced"


@dataclass(slots=True)
class RoutingContext:
    """One request, as the router sees it. Do not change it once it is routed.

    (Not frozen, since creating a frozen object, one per request, takes twice as long.)

    Args:
        batch_size: number of items.
        elements: total number of elements of its input tensors; `None` if the batch size is enough.
        max_latency_ms: the deadline, from its arrival on; `None` for the model's setting.
        spent_ms: how long ago it arrived.
        refuse_late: whether it is refused at once if no variant would be in time; `None` for the model's
            setting.
        optimization_goal: the objective to optimize for; `None` for the model's policy.
        policy: the name of its policy, which overrides the goal; `None` for the model's policy.
        allowed_devices: only variants on these may serve it; `None` for no restriction.
        allowed_variants: only these may serve it; `None` for no restriction.
        excluded_variants: these may not serve it.
        max_memory_mb: variants that are expected to take more may not serve it; `None` for no limit.
        max_power_w: variants where its share of the power is expected to be higher may not serve it; `None`
            for no limit.
        priority: how little it spares later requests: p halves p times, or doubles -p times, what its policy
            adds to costs for their sake; beyond -10 and 10 nothing changes.
        hedge: whether another variant may get it as well if it is slow; `None` for the model's setting.
        unit: what experiments assign arms by, usually a user or a session; empty if there is none.
        warmup: whether the router sent it to learn; metrics and experiments do not count it.
        dry_run: whether only the decision is wanted; metrics and experiments do not count it either.
    """

    batch_size: int = 1
    elements: int | None = None
    max_latency_ms: float | None = None
    spent_ms: float = 0.0
    refuse_late: bool | None = None
    optimization_goal: OptimizationGoal | None = None
    policy: str | None = None
    allowed_devices: frozenset[Device] | None = None
    allowed_variants: frozenset[str] | None = None
    excluded_variants: frozenset[str] = frozenset()
    max_memory_mb: float | None = None
    max_power_w: float | None = None
    priority: int = 0
    hedge: bool | None = None
    unit: str = ""
    warmup: bool = False
    dry_run: bool = False

    def is_constrained(self) -> bool:
        """Return whether it restricts which variants may serve it."""
        return bool(
            self.excluded_variants
            or self.allowed_variants is not None
            or self.allowed_devices is not None
            or self.max_memory_mb is not None
            or self.max_power_w is not None
        )

    @property
    def priority_level(self) -> int:
        """Its priority, within limits."""
        return max(-MAX_PRIORITY, min(self.priority, MAX_PRIORITY))

    def allows(self, variant: Variant) -> bool:
        """Return whether the variant is among the allowed ones, and on an allowed device."""
        return (self.allowed_variants is None or variant.name in self.allowed_variants) and (
            self.allowed_devices is None or variant.device in self.allowed_devices
        )

    def __post_init__(self) -> None:
        """Reject invalid numbers.

        Raises:
            InvalidRequestError: a batch size below 1, a negative number of elements, a deadline that is not
                finite, a negative time, or a limit that is not above 0.
        """
        if not 1 <= self.batch_size < math.inf:
            raise InvalidRequestError(f"batch_size must be at least 1, found {self.batch_size}")
        if self.elements is not None and not 0 <= self.elements < math.inf:
            raise InvalidRequestError(f"elements must be 0 or more, found {self.elements}")
        if self.max_latency_ms is not None and not math.isfinite(self.max_latency_ms):
            raise InvalidRequestError(f"max_latency_ms must be a finite number, found {self.max_latency_ms}")
        if not 0.0 <= self.spent_ms < math.inf:
            raise InvalidRequestError(f"spent_ms must be 0 or more, found {self.spent_ms}")
        if self.max_memory_mb is not None and not 0.0 < self.max_memory_mb < math.inf:
            raise InvalidRequestError(f"max_memory_mb must be a number above 0, found {self.max_memory_mb}")
        if self.max_power_w is not None and not 0.0 < self.max_power_w < math.inf:
            raise InvalidRequestError(f"max_power_w must be a number above 0, found {self.max_power_w}")


class Request:
    """The request being routed, as filters and policies see it.

    There is one object per model, overwritten by each decision like a `Candidate`: do not keep it.

    Args:
        context: what is known about the request.
        deadline_ms: what is left of its own or the model's deadline; `None` if it has none.
        now_s: the time, in seconds of the router's clock.
        is_own: whether the router sends it to learn, as a probe where a breaker is half-open.
    """

    __slots__ = ("context", "deadline_ms", "is_own", "now_s")

    def __init__(
        self, context: RoutingContext, deadline_ms: float | None, now_s: float, is_own: bool = False
    ) -> None:
        self.context = context
        self.deadline_ms = deadline_ms
        self.now_s = now_s
        self.is_own = is_own
