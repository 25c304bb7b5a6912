"""A trace as a workload: its arrivals and sizes."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.workload import Recorded, Workload, probabilities


def recorded_arrivals(requests: Sequence[TracedRequest]) -> Recorded:
    """When the requests of a trace came, from the first one, and how large they were."""
    arrival_s = np.array([request.arrival_s for request in requests])
    return Recorded(
        arrival_s=arrival_s - arrival_s[0],
        batch_size=np.array([request.batch_size for request in requests]),
        sequence_length=np.array([request.elements_per_item for request in requests]),
    )


def recorded_sizes(recorded: Recorded) -> dict[tuple[int, int], float]:
    """How often each size came."""
    sizes = zip(recorded.batch_size.tolist(), recorded.sequence_length.tolist(), strict=True)
    return probabilities(Counter(sizes))


def recorded_workload(name: str, requests: Sequence[TracedRequest]) -> Workload:
    """A workload that repeats a trace, with everything else by default."""
    arrivals = recorded_arrivals(requests)
    return Workload(
        name=name,
        description=f"The arrivals and sizes of {len(requests):,} recorded requests.",
        arrivals=arrivals,
        sizes=recorded_sizes(arrivals),
        load=None,
        requests=len(requests),
    )
