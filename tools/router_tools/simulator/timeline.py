"""Events of a run: drifts, stalls, outages and hidden requests."""

from collections.abc import Mapping

from router_backend.core.records.outcome import Fault
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.draw import Draw
from router_tools.simulator.jobs import hidden_jobs
from router_tools.simulator.pace import Pace, Slowdown
from router_tools.simulator.stations.base import FailingPeriod, Interruption, Station
from router_tools.simulator.world import World


def begin(world: World, draw: Draw, stations: Mapping[str, Station], agenda: Agenda) -> None:
    """Schedule all events of a run that starts at the current time."""
    now_s = agenda.now_s
    for variant in world.variants:
        station = stations[variant.name]
        station.disturb(
            _pace(variant.name, world, draw, now_s),
            _interruptions(variant.name, world, draw, now_s),
            _failing(variant.name, world, draw, now_s),
        )
        if variant.name in draw.hidden:
            hidden = draw.hidden[variant.name]
            for time_s, job in zip(hidden.arrival_s.tolist(), hidden_jobs(variant, hidden), strict=True):
                agenda.plan(now_s + time_s, station.submit, job)


def _pace(variant: str, world: World, draw: Draw, begin_s: float) -> Pace:
    drifts = [
        Slowdown(drift.start * draw.length_s, drift.end * draw.length_s, drift.factor)
        for drift in world.drifts
        if drift.variant == variant
    ]
    slowdowns = [*drifts, *draw.stalls.get(variant, ())]
    return Pace([Slowdown(begin_s + from_s, begin_s + to_s, factor) for from_s, to_s, factor in slowdowns])


def _interruptions(variant: str, world: World, draw: Draw, begin_s: float) -> list[Interruption]:
    return sorted(
        Interruption(
            begin_s + outage.start * draw.length_s,
            begin_s + outage.end * draw.length_s,
            outage.error_s,
            Fault.DEAD if outage.dead else Fault.ERROR,
        )
        for outage in world.outages
        if outage.variant == variant
    )


def _failing(variant: str, world: World, draw: Draw, begin_s: float) -> list[FailingPeriod]:
    return [
        FailingPeriod(
            begin_s + failures.start * draw.length_s,
            begin_s + failures.end * draw.length_s,
            failures.share,
            failures.error_s,
            Fault.DEAD if failures.dead else Fault.ERROR,
        )
        for failures in world.failures
        if failures.variant == variant
    ]
