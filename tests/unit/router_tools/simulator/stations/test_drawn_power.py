"""The power that a device draws depends on how many of its instances serve."""

import pytest

from router_tools.simulator.agenda import Agenda
from router_tools.simulator.stations.base import Station
from router_tools.simulator.stations.batching import BatchingStation
from router_tools.simulator.stations.first_come import FirstComeStation
from router_tools.simulator.stations.shared import ProcessorEvents, SharedStation
from router_tools.simulator.world import DynamicBatching
from tests.unit.router_tools.simulator.builders import TimedJob, variant

ALONE = DynamicBatching(max_batch_size=1, max_queue_delay_s=0.0, preferred_batch_sizes=())
TWO_INSTANCES = variant(concurrency=2, power_w=50.0)


class MeteredJob(TimedJob):
    """Records what its station draws when it is answered."""

    def __init__(self, agenda: Agenda, station: Station, work_s: float) -> None:
        super().__init__(agenda, work_s)
        self.station = station
        self.drawn_w: float | None = None

    def answered(self) -> None:
        self.drawn_w = self.station.drawn_w()


@pytest.mark.parametrize("kind", ["first_come", "batching", "shared"])
def test_a_device_draws_the_share_of_the_instances_that_serve(kind: str) -> None:
    """Of three jobs, two are served at once; the third starts when the first ends, and remains alone."""
    agenda = Agenda()
    stations: dict[str, Station] = {
        "first_come": FirstComeStation(TWO_INSTANCES, agenda),
        "batching": BatchingStation(TWO_INSTANCES, agenda, ALONE),
        "shared": SharedStation(TWO_INSTANCES, agenda, ProcessorEvents(agenda, 1.0)),
    }
    station = stations[kind]
    jobs = [MeteredJob(agenda, station, work_s) for work_s in (0.003, 0.0035, 0.003)]
    for job in jobs:
        agenda.plan(0.0, station.submit, job)
    agenda.run_out()
    assert [job.drawn_w for job in jobs] == [50.0, 50.0, 25.0]


def test_a_device_without_a_power_is_not_metered() -> None:
    assert FirstComeStation(variant(power_w=None), Agenda()).drawn_w() is None
