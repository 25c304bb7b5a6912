"""A first call that is slow, and calls that fail by bad luck, at every kind of station."""

import math
from collections.abc import Callable

import pytest

from router_backend.core.records.outcome import Fault
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.pace import Pace
from router_tools.simulator.stations.base import FailingPeriod, Station
from router_tools.simulator.stations.batching import BatchingStation
from router_tools.simulator.stations.first_come import FirstComeStation
from router_tools.simulator.stations.shared import ProcessorEvents, SharedStation
from router_tools.simulator.world import DynamicBatching, WorldVariant
from tests.unit.router_tools.simulator.builders import TimedJob, variant

Make = Callable[[WorldVariant, Agenda], Station]


def batching(described: WorldVariant, agenda: Agenda) -> Station:
    return BatchingStation(described, agenda, DynamicBatching(8, 0.0, ()))


def shared(described: WorldVariant, agenda: Agenda) -> Station:
    return SharedStation(described, agenda, ProcessorEvents(agenda, 1.0))


@pytest.fixture(params=[FirstComeStation, batching, shared], ids=["first come", "batching", "shared"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a station of each kind."""
    return request.param


WORK_S = 3e-3
"""What the law of the builders' variants gives for one item, which a batching station uses."""


class TestColdCalls:
    def test_the_first_call_is_slower_and_no_other(self) -> None:
        agenda = Agenda()
        station = FirstComeStation(variant(cold_factor=5.0), agenda)
        jobs = [TimedJob(agenda, 1.0) for _ in range(3)]
        for job in jobs:
            station.submit(job)
        agenda.run_out()
        assert [job.answered_s for job in jobs] == [5.0, 6.0, 7.0]

    def test_that_holds_on_a_shared_processor(self) -> None:
        agenda = Agenda()
        station = shared(variant(cold_factor=5.0), agenda)
        jobs = [TimedJob(agenda, 1.0) for _ in range(2)]
        for job in jobs:
            station.submit(job)
        agenda.run_out()
        assert [job.answered_s for job in jobs] == [5.0, 6.0]

    def test_it_is_foreseen_unless_the_mean_is_asked_for(self) -> None:
        agenda = Agenda()
        station = FirstComeStation(variant(cold_factor=5.0), agenda)
        job = TimedJob(agenda, 1.0)
        assert (station.completion_s(job), station.completion_s(job, warm=True)) == (5.0, 1.0)
        assert job.work_s == {"gpu": 1.0}, "to foresee changes nothing"
        station.submit(job)
        agenda.run_out()
        assert station.completion_s(TimedJob(agenda, 1.0)) == 6.0

    def test_the_work_at_other_variants_is_the_same(self) -> None:
        agenda = Agenda()
        station = FirstComeStation(variant(cold_factor=5.0), agenda)
        job = TimedJob(agenda, 1.0)
        job.work_s = {"gpu": 1.0, "cpu": 2.0}
        station.submit(job)
        assert job.work_s == {"gpu": 5.0, "cpu": 2.0}


class TestFailures:
    @pytest.mark.parametrize(("luck", "fails"), [(0.0, True), (0.19, True), (0.2, False), (0.9, False)])
    def test_a_call_fails_after_its_service_if_its_luck_is_below_the_share(
        self, make: Make, luck: float, fails: bool
    ) -> None:
        agenda = Agenda()
        station = make(variant(), agenda)
        station.disturb(Pace(), [], [FailingPeriod(0.0, 10.0, 0.2)])
        job = TimedJob(agenda, WORK_S, luck=luck)
        foreseen_s = station.completion_s(job)
        station.submit(job)
        agenda.run_out()
        ended_s = job.failed_s if fails else job.answered_s
        assert ended_s == pytest.approx(WORK_S)
        assert job.fault is (Fault.ERROR if fails else None)
        assert foreseen_s == (math.inf if fails else pytest.approx(WORK_S))

    def test_a_failure_frees_the_instance(self, make: Make) -> None:
        agenda = Agenda()
        station = make(variant(), agenda)
        station.disturb(Pace(), [], [FailingPeriod(0.0, 10.0, 0.2)])
        jobs = [TimedJob(agenda, WORK_S, luck=luck) for luck in (0.0, 0.9)]
        agenda.plan(0.0, station.submit, jobs[0])
        agenda.plan(1.0, station.submit, jobs[1])
        agenda.run_out()
        assert jobs[1].answered_s == pytest.approx(1.0 + WORK_S)

    def test_a_call_may_fail_after_a_time_of_its_own_without_an_instance(self, make: Make) -> None:
        agenda = Agenda()
        station = make(variant(), agenda)
        station.disturb(Pace(), [], [FailingPeriod(0.0, 10.0, 0.2, 3.0 * WORK_S, Fault.DEAD)])
        unlucky, lucky = (TimedJob(agenda, WORK_S, luck=luck) for luck in (0.1, 0.9))
        assert station.completion_s(unlucky) == math.inf
        assert station.completion_s(lucky) == pytest.approx(WORK_S)
        station.submit(unlucky)
        station.submit(lucky)
        agenda.run_out()
        assert (unlucky.fault, unlucky.failed_s) == (Fault.DEAD, pytest.approx(3.0 * WORK_S))
        assert lucky.answered_s == pytest.approx(WORK_S), "the instance was free"

    def test_it_depends_on_when_the_service_ends(self, make: Make) -> None:
        ended = []
        for sent_s in (0.9, 0.999, 1.999, 2.5):
            agenda = Agenda()
            station = make(variant(), agenda)
            station.disturb(Pace(), [], [FailingPeriod(1.0, 2.0, 0.2)])
            job = TimedJob(agenda, WORK_S, luck=0.0)
            agenda.plan(sent_s, station.submit, job)
            agenda.run_out()
            ended.append(job.fault)
        assert ended == [None, Fault.ERROR, None, None]

    def test_a_request_without_luck_never_fails(self, make: Make) -> None:
        agenda = Agenda()
        station = make(variant(), agenda)
        station.disturb(Pace(), [], [FailingPeriod(0.0, 10.0, 1.0)])
        job = TimedJob(agenda, WORK_S)
        station.submit(job)
        agenda.run_out()
        assert job.fault is None

    def test_the_share_of_a_time_is_that_of_its_period(self) -> None:
        station = FirstComeStation(variant(), Agenda())
        assert station.failure_share(1.0) == 0.0
        station.disturb(Pace(), [], [FailingPeriod(1.0, 2.0, 0.2), FailingPeriod(1.5, 3.0, 0.5)])
        times_s = (0.9, 1.0, 1.4, 1.5, 2.0, 2.9, 3.0)
        assert [station.failure_share(now_s) for now_s in times_s] == [0.0, 0.2, 0.2, 0.5, 0.5, 0.5, 0.0]
