"""Workloads: arrivals, sizes and deadlines of requests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from router_backend.core.records.request import OptimizationGoal
from router_tools.errors import ToolError
from router_tools.simulator.array import Array

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Poisson:
    """Poisson arrivals."""


@dataclass(frozen=True, slots=True)
class Bursty:
    """Bursty arrivals: a Markov-modulated Poisson process with two alternating states (MMPP-2).

    Args:
        burst_factor: the arrival rate in a burst, relative to the rate in the calm state.
        mean_burst_s: mean duration of a burst.
        mean_calm_s: mean duration of the calm state.
    """

    burst_factor: float
    mean_burst_s: float
    mean_calm_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Arrivals and sizes of a trace, as arrays of equal length.

    Args:
        arrival_s: arrival times, relative to the first.
        batch_size: numbers of items.
        sequence_length: sequence lengths of the items.
        deadline_ms: the deadline that the router knew, from the arrival; NaN for none. `None`: none has one.
        goals: the objective that each request named; `None`: none named one.
    """

    arrival_s: Array
    batch_size: Array
    sequence_length: Array
    deadline_ms: Array | None = None
    goals: Sequence[OptimizationGoal | None] | None = None


@dataclass(frozen=True, slots=True)
class Deadline:
    """Deadline of a request, from its arrival.

    Args:
        times_best_service: multiple of the mean service time on the variant that is fastest for the request.
        fixed_ms: a fixed deadline for all requests instead; `None` for none.
    """

    times_best_service: float = 3.0
    fixed_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """The requests of a run.

    Args:
        name: the name of the workload.
        description: a description in one sentence.
        arrivals: the arrival process.
        sizes: the probability of each batch size and sequence length; the length is 1 for other inputs.
        priorities: the probability of each priority.
        load: offered load as a fraction of the world's capacity; `None` for the recorded arrival rate.
        requests: the number of requests.
        deadline: the deadline of each request.
        told_deadline: whether requests pass the deadline to the router.
        refuse_late: whether the router may refuse requests that it cannot serve in time.
        content_sigma: standard deviation of ln(work / mean) of requests of one size, alike on all variants.
        max_in_flight: the number of requests inside the router from which on it refuses more; `None`: none.
        copies: whether the router may send copies of requests, to measure variants.
        warm_up_batch_sizes: sizes of the batches sent to each variant before the run, with the most frequent
            sequence length.
        hedge_share: what second copies of slow requests may add to the load, as a share; 0: none are sent.
        requests_before_restart: the number of requests of an earlier run, with other arrivals and noise, from
            whose profiles the router starts; 0 for none.
    """

    name: str
    description: str
    arrivals: Poisson | Bursty | Recorded
    sizes: Mapping[tuple[int, int], float]
    priorities: Mapping[int, float] = field(default_factory=lambda: {0: 1.0})
    load: float | None = 0.5
    requests: int = 6000
    deadline: Deadline = Deadline()
    told_deadline: bool = False
    refuse_late: bool = False
    max_in_flight: int | None = None
    content_sigma: float = 0.0
    copies: bool = True
    warm_up_batch_sizes: tuple[int, ...] = (1, 1, 8, 8)
    hedge_share: float = 0.0
    requests_before_restart: int = 0

    def __post_init__(self) -> None:
        """Check the number of requests.

        Raises:
            ToolError: the trace has fewer requests.
        """
        if isinstance(self.arrivals, Recorded) and self.requests > len(self.arrivals.arrival_s):
            raise ToolError(
                f"workload '{self.name}': requests: expected at most the {len(self.arrivals.arrival_s)} "
                f"that were recorded, found {self.requests}"
            )

    @property
    def usual_length(self) -> int:
        """The most frequent sequence length."""
        shares: dict[int, float] = {}
        for (_, length), share in self.sizes.items():
            shares[length] = shares.get(length, 0.0) + share
        return max(shares, key=lambda length: shares[length])


def log_uniform(smallest: int, largest: int) -> dict[int, float]:
    """Return P(b) = ln((b + 1)/b) / ln((largest + 1)/smallest): the integer part of a log-uniform number."""
    span = math.log((largest + 1) / smallest)
    return {size: math.log((size + 1) / size) / span for size in range(smallest, largest + 1)}


def probabilities(weights: Mapping[Value, float]) -> dict[Value, float]:
    """Return the weights, normalized to sum to 1."""
    total = sum(weights.values())
    return {value: weight / total for value, weight in weights.items()}
