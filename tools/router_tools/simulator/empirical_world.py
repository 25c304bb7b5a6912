"""A world fitted to a trace: the service time of each variant by size."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from router_backend.core.records.variant import Device
from router_tools.errors import ToolError
from router_tools.simulator.service_law import ServiceLaw, line
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.world import World, WorldVariant

_MIN_EXECUTIONS = 5

Execution = tuple[int, float]
"""Elements and service time in ms."""


@dataclass(frozen=True)
class EmpiricalServiceLaw(ServiceLaw):
    """Mean service times by power of two of the size, with linear interpolation.

    Args:
        points: service time in ms by number of elements.
    """

    points: dict[float, float]

    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """Return the interpolated service time for this number of elements."""
        return line(self.points, batch_size * sequence_length)


def empirical_world(name: str, requests: Sequence[TracedRequest]) -> World:
    """Return a world fitted to a trace, without events; each variant serves one request at a time.

    If the trace lacks a service time, it is inferred as with one instance: finish - max(arrival, previous
    finish).

    Args:
        name: the name of the world.
        requests: the requests of the trace, in order of arrival.

    Raises:
        ToolError: no variant has enough executions.
    """
    by_variant: dict[str, list[TracedRequest]] = defaultdict(list)
    for request in requests:
        if request.variant is not None and request.latency_ms is not None:
            by_variant[request.variant].append(request)
    enough = {name: executed for name, executed in by_variant.items() if len(executed) >= _MIN_EXECUTIONS}
    if not enough:
        raise ToolError(
            f"{name}: expected a variant with at least {_MIN_EXECUTIONS} answered requests to fit a world "
            f"to, found {', '.join(by_variant) or 'none'}: name a world with --world"
        )
    return World(
        name=name,
        description=f"Fitted to a trace of {len(requests):,} requests.",
        variants=tuple(_variant(variant, executed) for variant, executed in enough.items()),
        assumed=("Each variant serves one request at a time.", "Nothing drifts, fails or stalls."),
    )


def _variant(name: str, requests: Sequence[TracedRequest]) -> WorldVariant:
    executions = _executions(requests)
    law = EmpiricalServiceLaw(_means(executions))
    errors = [math.log(service_ms / law.mean_ms(elements, 1)) for elements, service_ms in executions]
    return WorldVariant(
        name=name,
        device=next((request.device for request in requests if request.device is not None), Device.CPU),
        concurrency=1,
        told_concurrency=1,
        max_batch_size=0,
        law=law,
        noise_sigma=float(np.std(errors)),
        batching=None,
        processor=None,
        hidden_load=0.0,
    )


def _executions(requests: Sequence[TracedRequest]) -> list[Execution]:
    """Return the recorded or inferred service times, without requests that overtook an earlier one."""
    executions = []
    previous_finish_s = -math.inf
    for request in requests:
        assert request.latency_ms is not None
        finish_s = request.arrival_s + request.latency_ms / 1e3
        service_ms = request.service_ms or (finish_s - max(request.arrival_s, previous_finish_s)) * 1e3
        previous_finish_s = max(previous_finish_s, finish_s)
        if service_ms > 0.0:
            executions.append((request.batch_size * request.elements_per_item, service_ms))
    return executions


def _means(executions: Sequence[Execution]) -> dict[float, float]:
    """Return the mean service time by mean size, for each power of two of the size."""
    buckets: dict[int, list[Execution]] = defaultdict(list)
    for execution in executions:
        buckets[execution[0].bit_length()].append(execution)
    means = (np.mean(bucket, axis=0) for bucket in buckets.values())
    return {float(elements): float(service_ms) for elements, service_ms in means}
