"""What a run leaves behind: one row a request, and one an execution."""

from dataclasses import dataclass

import numpy as np

from router_tools.simulator.array import Array

EXECUTION = np.dtype(
    [
        ("request", "i4"),  # its index
        ("variant", "i2"),  # the index of the variant in the world
        ("finished_s", "f8"),  # from the beginning of the run
        ("latency_ms", "f8"),  # from sending to answer
        ("expected_latency_ms", "f8"),
        ("service_ms", "f8"),  # true: from the beginning of service
        ("expected_service_ms", "f8"),
        ("half_width", "f8"),  # of the interval of |ln(latency / expected)| when it was decided
    ]
)


@dataclass(frozen=True)
class RunRecord:
    """Everything measured in one run; arrays of one row a request unless said otherwise.

    Args:
        variants: the names of the world's variants, in its order.
        arrival_s: when each request came, from the beginning of the run.
        deadline_ms: how long its answer might take.
        latency_ms: from arrival to answer, failed attempts included; NaN: it got none.
        refused: whether the router refused it on arrival.
        power_w: by variant, what its device draws while it serves; NaN: not known.
        executions: one row an answered execution, in the order of the answers: the fields of EXECUTION.
        decisions_per_s: decisions per second of real time spent in them.
    """

    variants: tuple[str, ...]
    arrival_s: Array
    deadline_ms: Array
    latency_ms: Array
    refused: Array
    power_w: tuple[float, ...]
    executions: Array
    decisions_per_s: float


class Recorder:
    """Collects what happens while a run lasts.

    Args:
        requests: how many requests come.

    Attributes:
        latency_ms: by request; NaN: it got no answer.
        refused: by request.
        executions: rows of EXECUTION; times are the simulated clock's.
        router_s: real time spent in the router's decisions.
        decisions: how many decisions that were.
    """

    __slots__ = ("decisions", "executions", "latency_ms", "refused", "router_s")

    def __init__(self, requests: int) -> None:
        self.latency_ms = [float("nan")] * requests
        self.refused = [False] * requests
        self.executions: list[tuple[float, ...]] = []
        self.router_s = 0.0
        self.decisions = 0
