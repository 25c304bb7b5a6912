"""What the router knows of a request before it is served."""

import math
from dataclasses import dataclass
from enum import Enum

from router_backend.core.records.variant import Device
from router_backend.errors import InvalidRequestError


class OptimizationGoal(str, Enum):
    """What a request wants to be good at."""

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
        elements: how many tensor elements its inputs hold in all; None: the batch size says enough.
        max_latency_ms: the deadline, from its arrival; None: the model's own, if it has one. Policies see
            what is left of it.
        spent_ms: how long ago it arrived.
        refuse_late: whether it is refused at once where no variant would be in time; None: as is configured.
        optimization_goal: what the choice is to be good at; None: what the model's policy is for.
        policy: the name of the policy that chooses, before any goal; None: the model's own.
        allowed_devices: only variants on these may serve it; None: every one may.
        allowed_variants: only these may serve it; None: every one may.
        excluded_variants: these may not, most often because they failed it already.
        max_memory_mb: variants that are expected to take more may not serve it; None: any may.
        max_power_w: variants that are expected to draw more may not serve it; None: any may.
        priority: above 0 it need not spare requests that come after it, below 0 it is to spare them more.
        unit: what experiments assign an arm by, most often a user or a session; empty: there is none.
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

    def __post_init__(self) -> None:
        """Refuse numbers that no request can have.

        Raises:
            InvalidRequestError: a batch below 1, a negative count of elements, a deadline that is no number,
                a negative time, a limit that is not above 0.
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
