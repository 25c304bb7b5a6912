"""What the router knows of a request before it is served."""

import math
from dataclasses import dataclass
from enum import Enum

from router_backend.errors import InvalidRequestError


class OptimizationGoal(str, Enum):
    """What a request wants to be good at."""

    MINIMIZE_LATENCY = "minimize_latency"


@dataclass(slots=True)
class RoutingContext:
    """One request, as the router sees it. Not to be changed once it is routed.

    (A frozen record takes twice as long to make, and one is made for every request.)

    Args:
        batch_size: how many items it holds.
        elements: how many tensor elements its inputs hold in all; None: the batch size says enough.
        max_latency_ms: the deadline, from now; None: there is none.
        optimization_goal: what the choice is to be good at.
        allowed_variants: only these may serve it; None: every one may.
        excluded_variants: these may not, most often because they failed it already.
    """

    batch_size: int = 1
    elements: int | None = None
    max_latency_ms: float | None = None
    optimization_goal: OptimizationGoal = OptimizationGoal.MINIMIZE_LATENCY
    allowed_variants: frozenset[str] | None = None
    excluded_variants: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse numbers that no request can have.

        Raises:
            InvalidRequestError: a batch below 1, a negative count of elements, a deadline that is no number.
        """
        if self.batch_size < 1:
            raise InvalidRequestError(f"batch_size must be at least 1, found {self.batch_size}")
        if self.elements is not None and self.elements < 0:
            raise InvalidRequestError(f"elements must be 0 or more, found {self.elements}")
        if self.max_latency_ms is not None and not math.isfinite(self.max_latency_ms):
            raise InvalidRequestError(f"max_latency_ms must be a finite number, found {self.max_latency_ms}")
