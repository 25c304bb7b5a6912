"""A world fitted to a trace: the service time of each variant by size."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from router_backend.core.records.variant import Device
from router_tools.errors import ToolError
from router_tools.simulator.array import Array
from router_tools.simulator.empirical_drift import changes, levels, stretch_of
from router_tools.simulator.service_law import ServiceLaw, line
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.world import Drift, World, WorldVariant

Correct = Callable[[str, "Executions", Array], float]

_MIN_EXECUTIONS = 5
_EXECUTIONS_PER_POINT = 20
_MAX_POINTS = 50
"""Traces with fewer executions than this times the number above get points of fewer executions."""


class Executions(NamedTuple):
    """The executions of one variant, as arrays of equal length.

    Args:
        request: indices of the requests.
        moment: when the variant began to serve them, as fractions of the trace.
        elements: their sizes.
        service_ms: how long the variant served them.
    """

    request: Array
    moment: Array
    elements: Array
    service_ms: Array


class Described(NamedTuple):
    """What a trace says about a variant.

    Args:
        device: the hardware it runs on.
        concurrency: how many requests it serves at once.
        changes: where the level of its service times changes, as fractions of the trace.
    """

    device: Device
    concurrency: int
    changes: tuple[float, ...]


class Fit(NamedTuple):
    """What was fitted to the executions of one variant.

    Args:
        law: the mean service time by size.
        changes: where its level changes, as fractions of the trace.
        levels: the factor on the law between these changes.
    """

    law: "EmpiricalServiceLaw"
    changes: tuple[float, ...]
    levels: Array

    def means_ms(self, executed: Executions) -> Array:
        """Return the fitted service time of each execution."""
        means_ms: Array = self.levels[stretch_of(executed.moment, self.changes)]
        return means_ms * self.law.means_ms(executed.elements)

    def drifts(self, variant: str) -> Iterator[Drift]:
        """Yield the levels other than 1."""
        if self.changes:
            stretches = pairwise((0.0, *self.changes, 1.0))
            for (start, end), level in zip(stretches, self.levels.tolist(), strict=True):
                yield Drift(variant, start, end, level)


@dataclass(frozen=True)
class EmpiricalServiceLaw(ServiceLaw):
    """Mean service times of sizes, with linear interpolation between them.

    Args:
        points: service time in ms by number of elements.
    """

    points: dict[float, float]

    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """Return the interpolated service time for this number of elements."""
        return line(self.points, batch_size * sequence_length)

    def means_ms(self, elements: Array) -> Array:
        """Return the interpolated service time of each number of elements."""
        sizes, indices = np.unique(elements, return_inverse=True)
        means: Array = np.array([self.mean_ms(size, 1) for size in sizes.tolist()])[indices]
        return means


def empirical_world(name: str, requests: Sequence[TracedRequest]) -> World:
    """Return a world fitted to a trace, without failures.

    Args:
        name: the name of the world.
        requests: the requests of the trace, in order of arrival.

    Raises:
        ToolError: no variant has enough executions.
    """
    executed = executions(name, requests)
    return fitted_world(name, executed, described(executed, requests))


def fitted_world(
    name: str,
    executed: Mapping[str, Executions],
    variants: Mapping[str, Described],
    correct: Correct = lambda *_: 1.0,
) -> World:
    """Return a world with the service times of executions.

    Args:
        name: the name of the world.
        executed: the executions of each variant.
        variants: what the trace says about each variant.
        correct: returns the factor on the fitted service times of a variant, from its name, its executions
            and the fitted service time of each of these.
    """
    fits = {variant: fit(executed[variant], each.changes) for variant, each in variants.items()}
    factors = {each: correct(each, executed[each], fits[each].means_ms(executed[each])) for each in variants}
    return World(
        name=name,
        description="Fitted to a trace.",
        variants=tuple(
            _variant(each, variants[each], fits[each], executed[each], factors[each]) for each in variants
        ),
        assumed=(
            "A variant of which the trace does not say it serves one request at a time.",
            "Nothing fails.",
        ),
        drifts=tuple(drift for each, found in fits.items() for drift in found.drifts(each)),
    )


def described(executed: Mapping[str, Executions], requests: Sequence[TracedRequest]) -> dict[str, Described]:
    """Return what a trace says about the variants that were executed, in the order of the router's."""
    device = {each.variant: each.device for each in requests if each.variant and each.device}
    most = max((request.candidates for request in requests), key=len)
    concurrency = {each.variant: each.concurrency for each in most}
    order = list(concurrency)
    names = sorted(executed, key=lambda name: order.index(name) if name in concurrency else -1)
    return {
        name: Described(device.get(name, Device.CPU), concurrency.get(name, 1), _changes(executed[name]))
        for name in names
    }


def fit(executed: Executions, edges: tuple[float, ...]) -> Fit:
    """Return the mean service times of executions by size, and their level over time.

    Args:
        executed: the executions.
        edges: where the level changes, as fractions of the trace.
    """
    law = EmpiricalServiceLaw(_points(executed))
    if not edges:
        return Fit(law, (), np.ones(1))
    # One is fitted with the other fixed, twice: more changes nothing that matters.
    for _ in range(2):
        found = levels(executed.moment, executed.service_ms / law.means_ms(executed.elements), edges)
        steady_ms = executed.service_ms / found[stretch_of(executed.moment, edges)]
        law = EmpiricalServiceLaw(_points(executed._replace(service_ms=steady_ms)))
    return Fit(law, edges, found)


def executions(name: str, requests: Sequence[TracedRequest]) -> dict[str, Executions]:
    """Return the executions of each variant that has enough of them.

    A missing service time is inferred as with one instance: finish - max(sent, previous finish).

    Raises:
        ToolError: there is no such variant in the trace of this name.
    """
    by_variant: dict[str, list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        if request.variant is not None and request.latency_ms is not None:
            by_variant[request.variant].append(index)
    enough = {variant: each for variant, each in by_variant.items() if len(each) >= _MIN_EXECUTIONS}
    if not enough:
        raise ToolError(
            f"{name}: expected a variant with at least {_MIN_EXECUTIONS} answered requests to fit a world "
            f"to, found {', '.join(by_variant) or 'none'}: record more"
        )
    return {variant: _executions(each, requests) for variant, each in enough.items()}


def _variant(
    name: str, described: Described, found: Fit, executed: Executions, factor: float
) -> WorldVariant:
    """Return a variant with fitted service times times a factor, and the noise of its executions."""
    noise = executed.service_ms / found.means_ms(executed)
    noise /= noise.mean()
    points = {elements: factor * service_ms for elements, service_ms in found.law.points.items()}
    return WorldVariant(
        name=name,
        device=described.device,
        concurrency=described.concurrency,
        told_concurrency=described.concurrency,
        max_batch_size=0,
        law=EmpiricalServiceLaw(points),
        noise_sigma=float(np.std(np.log(noise))),
        batching=None,
        processor=None,
        hidden_load=0.0,
        measured_noise=tuple(noise.tolist()),
    )


def _changes(executed: Executions) -> tuple[float, ...]:
    law = EmpiricalServiceLaw(_points(executed))
    return changes(executed.moment, executed.service_ms / law.means_ms(executed.elements))


def _executions(indices: Sequence[int], requests: Sequence[TracedRequest]) -> Executions:
    """Return recorded or inferred service times, without requests that overtook an earlier one."""
    begin_s, end_s = requests[0].arrival_s, requests[-1].arrival_s
    rows = []
    previous_finish_s = -math.inf
    for index in indices:
        request = requests[index]
        assert request.latency_ms is not None
        sent_s = request.arrival_s + request.queued_ms / 1e3
        finish_s = sent_s + request.latency_ms / 1e3
        service_ms = request.service_ms or (finish_s - max(sent_s, previous_finish_s)) * 1e3
        previous_finish_s = max(previous_finish_s, finish_s)
        if service_ms > 0.0:
            moment = (finish_s - service_ms / 1e3 - begin_s) / (end_s - begin_s)
            rows.append((index, moment, request.batch_size * request.elements_per_item, service_ms))
    return Executions(*map(np.array, zip(*rows, strict=True)))


def _points(executed: Executions) -> dict[float, float]:
    """Return the mean service time by mean size, of groups of neighboring sizes with enough executions."""
    _, of = np.unique(executed.elements, return_inverse=True)
    enough = min(max(_MIN_EXECUTIONS, len(of) // _MAX_POINTS), _EXECUTIONS_PER_POINT)
    below = np.cumsum(np.bincount(of)) // enough
    # A group ends with the size that completes it; what is left after the last belongs to it.
    groups = np.minimum(np.concatenate([[0], below[:-1]]), max(below[-1] - 1, 0))[of]
    _, groups = np.unique(groups, return_inverse=True)
    total = np.bincount(groups)
    means = (np.bincount(groups, values) / total for values in (executed.elements, executed.service_ms))
    return dict(zip(*(each.tolist() for each in means), strict=True))
