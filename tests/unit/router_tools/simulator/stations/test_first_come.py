import math

import numpy as np
import pytest

from router_backend.core.records.outcome import Fault
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.pace import Pace, Slowdown
from router_tools.simulator.randomness import stream
from router_tools.simulator.stations.base import Interruption
from router_tools.simulator.stations.first_come import FirstComeStation
from tests.unit.router_tools.simulator.builders import TimedJob, variant


def serve(
    station: FirstComeStation, agenda: Agenda, arrivals_s: list[float], works_s: list[float]
) -> list[TimedJob]:
    jobs = [TimedJob(agenda, work_s) for work_s in works_s]
    for time_s, job in zip(arrivals_s, jobs, strict=True):
        agenda.plan(time_s, station.submit, job)
    agenda.run_out()
    return jobs


@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_mean_wait_agrees_with_queueing_theory(concurrency: int) -> None:
    """M/M/c: the mean wait is Erlang C / (c µ - λ)."""
    count, utilization = 60_000, 0.6
    arrival_rate = utilization * concurrency
    rng = stream(2, "theory")
    arrivals_s = rng.exponential(1.0 / arrival_rate, count).cumsum()
    works_s = rng.exponential(1.0, count)
    agenda = Agenda()
    jobs = serve(
        FirstComeStation(variant(concurrency=concurrency), agenda),
        agenda,
        arrivals_s.tolist(),
        works_s.tolist(),
    )
    waits_s = np.array([job.started_s for job in jobs]) - arrivals_s
    offered = arrival_rate
    busy = offered**concurrency / math.factorial(concurrency) / (1.0 - utilization)
    erlang_c = busy / (sum(offered**k / math.factorial(k) for k in range(concurrency)) + busy)
    assert waits_s.mean() == pytest.approx(erlang_c / (concurrency - arrival_rate), rel=0.05)


def test_jobs_are_served_in_order_of_arrival() -> None:
    agenda = Agenda()
    jobs = serve(FirstComeStation(variant(), agenda), agenda, [0.0, 0.1, 0.2], [5.0, 1.0, 1.0])
    assert [job.started_s for job in jobs] == [0.0, 5.0, 6.0]
    assert [job.answered_s for job in jobs] == [5.0, 6.0, 7.0]


def test_each_instance_serves_one_job_at_a_time() -> None:
    agenda = Agenda()
    station = FirstComeStation(variant(concurrency=2), agenda)
    jobs = serve(station, agenda, [0.0, 0.0, 0.0], [5.0, 1.0, 1.0])
    assert [job.answered_s for job in jobs] == [5.0, 1.0, 2.0]


def test_the_foreseen_completion_is_exact() -> None:
    agenda = Agenda()
    station = FirstComeStation(variant(concurrency=2), agenda)
    station.disturb(Pace([Slowdown(1.0, 4.0, 2.5)]), [])
    rng = stream(0, "jobs")
    jobs = [TimedJob(agenda, work_s) for work_s in rng.exponential(0.5, 50).tolist()]
    seen = []
    for job in jobs:
        agenda.run_until(agenda.now_s + 0.2)
        seen.append(station.completion_s(job))
        station.submit(job)
    agenda.run_out()
    assert seen == [job.answered_s for job in jobs]


OUTAGE = Interruption(2.0, 4.0, error_s=0.5, fault=Fault.ERROR)


def test_an_outage_fails_running_queued_and_arriving_jobs_but_not_later_ones() -> None:
    agenda = Agenda()
    station = FirstComeStation(variant(), agenda)
    station.disturb(Pace(), [OUTAGE])
    done, served, waiting, coming, after = serve(
        station, agenda, [0.0, 1.0, 1.5, 3.0, 4.5], [1.0, 9.0, 9.0, 1.0, 1.0]
    )
    assert done.answered_s == 1.0
    assert [(job.answered_s, job.failed_s) for job in (served, waiting, coming)] == [
        (None, 2.5),
        (None, 2.5),
        (None, 3.5),
    ]
    assert served.fault is Fault.ERROR
    assert (after.started_s, after.answered_s) == (4.5, 5.5), "the outage emptied the queue"


def test_the_foreseen_completion_includes_future_outages() -> None:
    agenda = Agenda()
    station = FirstComeStation(variant(), agenda)
    station.disturb(Pace(), [OUTAGE])
    assert station.completion_s(TimedJob(agenda, 1.5)) == 1.5
    assert station.completion_s(TimedJob(agenda, 2.5)) == math.inf
    agenda.run_until(3.0)
    assert station.completion_s(TimedJob(agenda, 0.1)) == math.inf
    agenda.run_until(5.0)
    assert station.completion_s(TimedJob(agenda, 2.5)) == 7.5
