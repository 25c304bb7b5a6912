"""The simulator's requests as requests to a server with emulated devices."""

import json
from collections.abc import Mapping
from dataclasses import replace

from router_backend.executors.emulated_request import REQUEST_PARAMETER
from router_tools.emulation.model_config import emulated_name
from router_tools.simulator.draw import draw
from router_tools.simulator.jobs import work_s
from router_tools.simulator.service_law import AffineServiceLaw, ServiceLaw, TableServiceLaw
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World
from tests.benchmarks.open_loop import TimedRequest


def in_slow_motion(world: World, factor: float) -> World:
    """Return the world with all service times scaled by `factor`."""
    return replace(
        world, variants=tuple(replace(each, law=_slower(each.law, factor)) for each in world.variants)
    )


def _slower(law: ServiceLaw, factor: float) -> ServiceLaw:
    if isinstance(law, AffineServiceLaw):
        return replace(law, base_ms=law.base_ms * factor, per_item_ms=law.per_item_ms * factor)
    assert isinstance(law, TableServiceLaw)
    return replace(law, factor=law.factor * factor)


def timed_requests(world: World, workload: Workload, seed: int) -> list[TimedRequest]:
    """Return the requests that the simulator draws for a seed, with their service times."""
    drawn = draw(world, workload, seed)
    requests = drawn.requests
    rows = zip(
        requests.arrival_s.tolist(),
        requests.batch_size.tolist(),
        work_s(world.variants, requests),
        strict=True,
    )
    return [
        TimedRequest(at_s, batch_size, {REQUEST_PARAMETER: service_times(world, work, at_s / drawn.length_s)})
        for at_s, batch_size, work in rows
    ]


def service_times(world: World, work: Mapping[str, float], moment: float) -> str:
    """Return the request parameter that sets the service times of the emulated devices.

    Args:
        world: the world, with drifts and outages.
        work: by variant, the service time of the request in seconds, without events.
        moment: the arrival time, as a fraction of the run.
    """
    service_ms: dict[str, float | None] = {name: second * 1e3 for name, second in work.items()}
    for drift in world.drifts:
        if drift.start <= moment < drift.end:
            service_ms[drift.variant] = work[drift.variant] * drift.factor * 1e3
    for outage in world.outages:
        if outage.start <= moment < outage.end:
            service_ms[outage.variant] = None
    return json.dumps({emulated_name(name): ms for name, ms in service_ms.items()})
