"""Record of a run: one row per request and one per execution."""

from dataclasses import dataclass

import numpy as np

from router_tools.simulator.array import Array

EXECUTION = np.dtype(
    [
        ("request", "i4"),  # index of the request
        ("variant", "i2"),  # index of the variant in the world
        ("finished_s", "f8"),  # from the start of the run
        ("latency_ms", "f8"),  # from dispatch to answer
        ("expected_latency_ms", "f8"),
        ("service_ms", "f8"),  # true service time
        ("expected_service_ms", "f8"),
        ("half_width", "f8"),  # of the interval of |ln(latency / expected)|, at the time of the decision
    ]
)


@dataclass(frozen=True)
class RunRecord:
    """Everything measured in one run; arrays have one row per request unless noted otherwise.

    Args:
        variants: the names of the variants, in the order of the world.
        arrival_s: arrival time, from the start of the run.
        deadline_ms: deadline, from the arrival.
        latency_ms: time from arrival to answer, including failed attempts; NaN if it was not answered.
        refused: whether the router refused it on arrival.
        preferred: whether no other request has a higher priority.
        best: index of the variant with the lowest mean service time for it, without events.
        calm_s: when the last drift, outage or failure ended; 0 if there was none.
        power_w: by variant, a request's share of the power that its device draws; NaN if unknown.
        executions: one row of EXECUTION per answered execution, in the order of the answers.
        extra_load: the service time of second copies of slow requests, as a share of that of the requests.
        decisions_per_s: decisions per second of real time spent deciding.
    """

    variants: tuple[str, ...]
    arrival_s: Array
    deadline_ms: Array
    latency_ms: Array
    refused: Array
    preferred: Array
    best: Array
    calm_s: float
    power_w: tuple[float, ...]
    executions: Array
    extra_load: float
    decisions_per_s: float


class Recorder:
    """Collects the data of a run.

    Args:
        requests: the number of requests.

    Attributes:
        latency_ms: by request; NaN if it was not answered.
        refused: by request, whether it was refused.
        executions: rows of EXECUTION, with times of the simulated clock.
        first_s: the service time of requests where they were sent first, when served alone and undisturbed.
        hedge_s: that of second copies.
        router_s: real time spent in the router's decisions.
        decisions: number of decisions.
    """

    __slots__ = (
        "decisions",
        "executions",
        "first_s",
        "hedge_s",
        "latency_ms",
        "refused",
        "router_s",
    )

    def __init__(self, requests: int) -> None:
        self.latency_ms = [float("nan")] * requests
        self.refused = [False] * requests
        self.executions: list[tuple[float, ...]] = []
        self.first_s = self.hedge_s = 0.0
        self.router_s = 0.0
        self.decisions = 0
