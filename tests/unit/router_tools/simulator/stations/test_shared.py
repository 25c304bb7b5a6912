import pytest

from router_backend.core.records.outcome import Fault
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.pace import Pace, Slowdown
from router_tools.simulator.randomness import stream
from router_tools.simulator.stations.base import Interruption
from router_tools.simulator.stations.shared import ProcessorEvents, SharedStation
from tests.unit.router_tools.simulator.builders import TimedJob, variant

Pair = tuple[Agenda, SharedStation, SharedStation]


def pair(contention: float, concurrency: int = 1) -> Pair:
    agenda = Agenda()
    events = ProcessorEvents(agenda, contention)
    first = SharedStation(variant("a", concurrency=concurrency), agenda, events)
    return agenda, first, SharedStation(variant("b"), agenda, events)


def test_a_variant_alone_is_as_fast_as_its_law() -> None:
    agenda, first, _ = pair(1.0)
    job = TimedJob(agenda, 2.0, variant_name="a")
    first.submit(job)
    agenda.run_out()
    assert job.answered_s == 2.0


def test_two_busy_variants_slow_each_other_while_both_are_busy() -> None:
    agenda, first, second = pair(1.0)
    long, short = TimedJob(agenda, 3.0, variant_name="a"), TimedJob(agenda, 1.0, variant_name="b")
    agenda.plan(0.0, first.submit, long)
    agenda.plan(1.0, second.submit, short)
    agenda.run_out()
    # From 1 s to 3 s, both run at half speed; then the short one is done and the long one has 1 s left.
    assert short.answered_s == pytest.approx(3.0)
    assert long.answered_s == pytest.approx(4.0)


def test_contention_determines_the_slowdown() -> None:
    agenda, first, second = pair(0.5)
    jobs = TimedJob(agenda, 2.0, variant_name="a"), TimedJob(agenda, 2.0, variant_name="b")
    first.submit(jobs[0])
    second.submit(jobs[1])
    agenda.run_out()
    assert [job.answered_s for job in jobs] == pytest.approx([3.0, 3.0])


def test_instances_of_one_variant_do_not_slow_each_other() -> None:
    agenda, first, _ = pair(1.0, concurrency=2)
    jobs = [TimedJob(agenda, 2.0, variant_name="a") for _ in range(3)]
    for job in jobs:
        first.submit(job)
    agenda.run_out()
    assert [job.answered_s for job in jobs] == pytest.approx([2.0, 2.0, 4.0])
    assert [job.started_s for job in jobs] == pytest.approx([0.0, 0.0, 2.0])


def test_a_stall_of_one_variant_stops_only_its_work() -> None:
    agenda, first, second = pair(1.0)
    first.disturb(Pace([Slowdown(0.0, 5.0, float("inf"))]), [])
    stalled, other = TimedJob(agenda, 1.0, variant_name="a"), TimedJob(agenda, 1.0, variant_name="b")
    first.submit(stalled)
    second.submit(other)
    agenda.run_out()
    assert other.answered_s == pytest.approx(2.0), "the stalled variant still occupies the processor"
    assert stalled.answered_s == pytest.approx(6.0)


def test_the_foreseen_completion_is_exact_if_no_job_follows() -> None:
    rng = stream(1, "shared")
    for count in range(1, 12):
        agenda, first, second = pair(0.8, concurrency=2)
        stations = {"a": first, "b": second}
        times_s = sorted(rng.uniform(0.0, 3.0, count).tolist())
        jobs = []
        for time_s in times_s:
            agenda.run_until(time_s)
            name = str(rng.choice(["a", "b"]))
            jobs.append(TimedJob(agenda, float(rng.exponential(1.0)), variant_name=name))
            seen_s = stations[name].completion_s(jobs[-1])
            stations[name].submit(jobs[-1])
        agenda.run_out()
        assert jobs[-1].answered_s == pytest.approx(seen_s)
        assert all(job.answered_s is not None for job in jobs)


def test_an_outage_of_one_variant_frees_the_processor_for_the_other() -> None:
    agenda, first, second = pair(1.0)
    first.disturb(Pace(), [Interruption(1.0, 9.0, 0.1, Fault.DEAD)])
    failing, other = TimedJob(agenda, 5.0, variant_name="a"), TimedJob(agenda, 2.0, variant_name="b")
    first.submit(failing)
    second.submit(other)
    agenda.run_out()
    assert (failing.failed_s, failing.fault) == (1.1, Fault.DEAD)
    assert other.answered_s == pytest.approx(2.5), "half speed for a second, then alone"
