"""Workloads that repeat the arrivals and sizes of a trace."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from router_backend.core.records.outcome import Refusal
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.workload import Recorded, Workload, probabilities


def recorded_arrivals(requests: Sequence[TracedRequest]) -> Recorded:
    """Return arrival times, relative to the first, sizes, deadlines and goals of the requests of a trace."""
    arrival_s = np.array([request.arrival_s for request in requests])
    return Recorded(
        arrival_s=arrival_s - arrival_s[0],
        batch_size=np.array([request.batch_size for request in requests]),
        sequence_length=np.array([request.elements_per_item for request in requests]),
        deadline_ms=np.array([request.deadline_ms for request in requests], dtype=float),
        goals=[request.goal for request in requests],
    )


def recorded_sizes(recorded: Recorded) -> dict[tuple[int, int], float]:
    """Return the relative frequency of each batch size and sequence length."""
    sizes = zip(recorded.batch_size.tolist(), recorded.sequence_length.tolist(), strict=True)
    return probabilities(Counter(sizes))


def recorded_workload(name: str, requests: Sequence[TracedRequest]) -> Workload:
    """Return a workload that repeats a trace, with defaults for all other settings.

    Late requests may be refused if the recorded router refused some, and so are those beyond the number that
    it had inside when it refused one as overloaded.
    """
    arrivals = recorded_arrivals(requests)
    return Workload(
        name=name,
        description=f"The arrivals and sizes of {len(requests):,} recorded requests.",
        arrivals=arrivals,
        sizes=recorded_sizes(arrivals),
        load=None,
        requests=len(requests),
        refuse_late=any(request.refusal in (Refusal.DEADLINE, Refusal.SHED) for request in requests),
        max_in_flight=_max_in_flight(requests),
    )


def _max_in_flight(requests: Sequence[TracedRequest]) -> int | None:
    """Return the highest number of requests inside the router when it refused one as overloaded.

    `None` if it refused none.
    """
    refused_s = np.array([each.arrival_s for each in requests if each.refusal is Refusal.OVERLOADED])
    if not len(refused_s):
        return None
    answered = [each for each in requests if each.latency_ms is not None]
    begin_s = np.array([each.arrival_s for each in answered])
    end_s = begin_s + np.array([each.queued_ms + (each.latency_ms or 0.0) for each in answered]) / 1e3
    inside = np.searchsorted(begin_s, refused_s) - np.searchsorted(np.sort(end_s), refused_s)
    return max(1, int(inside.max()))
