"""What is answered in time when more is offered than the variants can serve."""

from dataclasses import replace

import numpy as np
import pytest

from router_tools.simulator.catalog import find
from router_tools.simulator.record import RunRecord
from router_tools.simulator.run import run
from router_tools.simulator.workload import Deadline, Workload
from router_tools.simulator.workload_file import read_workload
from router_tools.simulator.world_file import read_world

BESIDE_CAPACITY = (0.75, 1.5, 3.0)


def served(load: float, requests: int = 4000, **changes: object) -> RunRecord:
    """Route requests of two priorities at a load, without drifts and outages."""
    workload: Workload = replace(read_workload(find("workloads", "priorities")), load=load, requests=requests)
    return run(read_world(find("worlds", "resnet50")).calm(), replace(workload, **changes), "latency", 0)


def in_time_per_s(record: RunRecord) -> float:
    return float((record.latency_ms <= record.deadline_ms).sum() / record.arrival_s[-1])


@pytest.mark.parametrize("deadline", [Deadline(fixed_ms=200.0), Deadline(times_best_service=5.0)])
@pytest.mark.parametrize("priorities", [{0: 1.0}, {0: 0.8, 1: 0.2}])
def test_more_load_costs_no_goodput(deadline: Deadline, priorities: dict[int, float]) -> None:
    goodput = [
        in_time_per_s(served(load, deadline=deadline, priorities=priorities)) for load in BESIDE_CAPACITY
    ]
    assert goodput[-1] > 0.9 * max(goodput)


def test_the_highest_priority_is_in_time_up_to_one_and_a_half_times_the_capacity() -> None:
    record = served(1.5, requests=8000)
    in_time = record.latency_ms <= record.deadline_ms
    assert in_time[record.preferred].mean() > 0.985
    assert 0.4 < in_time[~record.preferred].mean() < 0.8


def test_the_lowest_priority_does_not_starve() -> None:
    """The highest one alone is more than the capacity."""
    record = served(3.0, priorities={0: 0.3, 1: 0.7})
    others = record.latency_ms[~record.preferred]
    answered_in = np.flatnonzero(~np.isnan(others)) / len(others)
    assert np.isfinite(others).mean() > 0.03
    assert np.diff(answered_in).max() < 0.1, "all the time"
