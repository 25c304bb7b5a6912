"""What the router knows of a request before it is served."""

import math
from dataclasses import dataclass
from enum import Enum

from router_backend.core.records.variant import Device
from router_backend.errors import InvalidRequestError


class OptimizationGoal(str, Enum):
    """The objective to optimize for."""

    MINIMIZE_LATENCY = "minimize_latency"
    MAXIMIZE_THROUGHPUT = "maximize_throughput"
    MINIMIZE_POWER = "minimize_power"
    BALANCED = "balanced"


@dataclass(slots=True)
class RoutingContext:
    """One request, as the router sees it. Not to be changed once it is routed.

    (A frozen record takes twice as long to make, and one is made for every request.)

    Args:
        batch_size: how many items it holds.
        elements: how many tensor elements its inputs hold in total; `None` if the batch size says enough.
        max_latency_ms: the deadline, from its arrival on; `None` for the model's own, if it has one.
        spent_ms: how long ago it arrived.
        refuse_late: whether it is refused at once if no variant would be in time; `None` for the model's
            setting.
        optimization_goal: the objective to optimize for; `None` for the model's policy.
        policy: the name of the policy that chooses, before any goal; `None` for the model's own.
        allowed_devices: only variants on these may serve it; `None` if any may.
        allowed_variants: only these may serve it; `None` if any may.
        excluded_variants: these may not serve it.
        max_memory_mb: variants that are expected to take more may not serve it; `None` if any may.
        max_power_w: variants that are expected to draw more may not serve it; `None` if any may.
        priority: above 0 it need not spare requests that come after it, below 0 it spares them more.
        unit: what experiments assign an arm by, most often a user or a session; empty if there is none.
        warmup: whether the router itself sends it, to learn: metrics and experiments do not count it.
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
    unit: str = ""
    warmup: bool = False

    def is_constrained(self) -> bool:
        """Return whether it states which variants may serve it, or what they may take."""
        return bool(
            self.excluded_variants
            or self.allowed_variants is not None
            or self.allowed_devices is not None
            or self.max_memory_mb is not None
            or self.max_power_w is not None
        )

    def __post_init__(self) -> None:
        """Reject invalid numbers.

        Raises:
            InvalidRequestError: a batch below 1, a negative number of elements, a deadline that is not
                finite, a negative time, a limit that is not above 0.
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

    There is one object per model, set again for every decision, as a `Candidate` is: read it, do not keep it.

    Args:
        context: what is known of the request.
        deadline_ms: what is left of its deadline, the model's own included; `None` if it has none.
        now_s: the time, in seconds of the router's clock.
    """

    __slots__ = ("context", "deadline_ms", "now_s")

    def __init__(self, context: RoutingContext, deadline_ms: float | None, now_s: float) -> None:
        self.context = context
        self.deadline_ms = deadline_ms
        self.now_s = now_s
