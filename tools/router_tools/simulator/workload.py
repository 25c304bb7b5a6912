"""A workload: which requests come when, and when an answer is late."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from router_tools.errors import ToolError
from router_tools.simulator.array import Array

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Poisson:
    """Arrivals without memory."""


@dataclass(frozen=True, slots=True)
class Bursty:
    """Two states in turn, each for an exponential time, Poisson within each (MMPP-2).

    Args:
        burst_factor: the rate in a burst over the rate in calm.
        mean_burst_s: how long a burst lasts.
        mean_calm_s: how long the calm between lasts.
    """

    burst_factor: float
    mean_burst_s: float
    mean_calm_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Arrivals and sizes of a trace, arrays of one length.

    Args:
        arrival_s: when each request came, from the first.
        batch_size: how many items it held.
        sequence_length: how long they were.
    """

    arrival_s: Array
    batch_size: Array
    sequence_length: Array


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an answer is late.

    Args:
        times_best_service: as a multiple of the undisturbed service time of the fastest variant.
        fixed_ms: the same for all, instead of that; None: not so.
    """

    times_best_service: float = 3.0
    fixed_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Which requests come when.

    Args:
        name: how it is called.
        description: what it is, in a sentence.
        arrivals: when they come.
        sizes: the probability of each batch size and sequence length; a length of 1 where that means nothing.
        load: offered load as a share of the world's capacity; None: as it was recorded.
        requests: how many come.
        deadline: when an answer is late.
        told_deadline: whether requests carry the deadline.
        refuse_late: whether the router may refuse what it cannot serve in time.
        warm_up_batch_sizes: batches sent to each variant before the run, of the most frequent length.
    """

    name: str
    description: str
    arrivals: Poisson | Bursty | Recorded
    sizes: Mapping[tuple[int, int], float]
    load: float | None = 0.5
    requests: int = 6000
    deadline: Deadline = Deadline()
    told_deadline: bool = False
    refuse_late: bool = False
    warm_up_batch_sizes: tuple[int, ...] = (1, 1, 8, 8)

    def __post_init__(self) -> None:
        """Refuse more requests than a trace has.

        Raises:
            ToolError: there are not that many.
        """
        if isinstance(self.arrivals, Recorded) and self.requests > len(self.arrivals.arrival_s):
            raise ToolError(
                f"workload '{self.name}': requests: expected at most the {len(self.arrivals.arrival_s)} "
                f"that were recorded, found {self.requests}"
            )

    @property
    def usual_length(self) -> int:
        """The sequence length that comes most often."""
        shares: dict[int, float] = {}
        for (_, length), share in self.sizes.items():
            shares[length] = shares.get(length, 0.0) + share
        return max(shares, key=lambda length: shares[length])


def log_uniform(smallest: int, largest: int) -> dict[int, float]:
    """P(b) = ln((b + 1)/b) / ln((largest + 1)/smallest): the whole part of a log-uniform number."""
    span = math.log((largest + 1) / smallest)
    return {size: math.log((size + 1) / size) / span for size in range(smallest, largest + 1)}


def probabilities(weights: Mapping[Value, float]) -> dict[Value, float]:
    """Weights made to sum to 1."""
    total = sum(weights.values())
    return {value: weight / total for value, weight in weights.items()}
