"""A world as a trace shows it: each variant's service times by size."""

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

_LEAST_EXECUTIONS = 5

Execution = tuple[int, float]
"""Elements and service time in ms."""


@dataclass(frozen=True)
class EmpiricalServiceLaw(ServiceLaw):
    """The mean service time of each order of size, linear between the means.

    Args:
        points: ms by elements.
    """

    points: dict[float, float]

    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """The value at that many elements."""
        return line(self.points, batch_size * sequence_length)


def empirical_world(name: str, requests: Sequence[TracedRequest]) -> World:
    """A world fitted to a trace, without events; each variant serves one request at a time.

    Where the trace does not tell the service time, it is what is left of the latency after the answer
    before: finish - max(arrival, previous finish), as with one instance.

    Args:
        name: how it is to be called.
        requests: in the order of arrival.

    Raises:
        ToolError: no variant has enough executions to fit.
    """
    by_variant: dict[str, list[TracedRequest]] = defaultdict(list)
    for request in requests:
        if request.variant is not None and request.latency_ms is not None:
            by_variant[request.variant].append(request)
    enough = {variant: own for variant, own in by_variant.items() if len(own) >= _LEAST_EXECUTIONS}
    if not enough:
        raise ToolError(
            f"{name}: expected a variant with {_LEAST_EXECUTIONS} answered requests at least to fit a world "
            f"to, found {', '.join(by_variant) or 'none'}: name a world with --world"
        )
    return World(
        name=name,
        description=f"Fitted to a trace of {len(requests):,} requests.",
        variants=tuple(_variant(variant, own) for variant, own in enough.items()),
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
    """The service time of each request, told or inferred; those that overtook another tell nothing."""
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
    """By order of size (a power of two), the mean size and the mean service time."""
    orders: dict[int, list[Execution]] = defaultdict(list)
    for execution in executions:
        orders[execution[0].bit_length()].append(execution)
    means = (np.mean(own, axis=0) for own in orders.values())
    return {float(elements): float(service_ms) for elements, service_ms in means}
