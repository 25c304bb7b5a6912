"""A world fitted to a trace: the service times of each variant by size, and its failures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from router_backend.core.records.variant import Device
from router_tools.errors import warn
from router_tools.simulator.array import Array
from router_tools.simulator.empirical_drift import changes, levels, stretch_of
from router_tools.simulator.empirical_failures import Attempts, Failing, attempts_of, failing
from router_tools.simulator.executions import Executions, executions, size_groups
from router_tools.simulator.service_law import ServiceLaw, line
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.world import Drift, World, WorldVariant

Correct = Callable[[str, Executions, Array], float]


class Sample(NamedTuple):
    """What was recorded at the variants of a trace, or a part of it.

    Args:
        executed: the executions of each variant.
        attempts: the attempts at each variant that failed at least once.
    """

    executed: Mapping[str, Executions]
    attempts: Mapping[str, Attempts]


class Described(NamedTuple):
    """What a trace says about a variant.

    Args:
        device: the hardware it runs on.
        concurrency: how many requests it serves at once.
        changes: where the level of its service times changes, as fractions of the trace.
        failing: how it fails; `None` if it does not.
    """

    device: Device
    concurrency: int
    changes: tuple[float, ...]
    failing: Failing | None


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
    """Return a world fitted to a trace, with warnings about what of the trace is not used.

    Args:
        name: the name of the world.
        requests: the requests of the trace, in order of arrival.

    Raises:
        ToolError: no variant has enough executions.
    """
    found = executions(name, requests)
    for each in found.warnings():
        warn(each)
    sample = Sample(found.executed, attempts_of(requests, found.executed))
    return fitted_world(name, sample, described(sample, requests))


def fitted_world(
    name: str,
    sample: Sample,
    variants: Mapping[str, Described],
    correct: Correct = lambda *_: 1.0,
) -> World:
    """Return a world with the service times and failures of a sample.

    Args:
        name: the name of the world.
        sample: what was recorded.
        variants: what the trace says about each variant.
        correct: returns the factor on the fitted service times of a variant, from its name, its executions
            and the fitted service time of each of these.
    """
    executed = sample.executed
    fits = {variant: fit(executed[variant], each.changes) for variant, each in variants.items()}
    factors = {each: correct(each, executed[each], fits[each].means_ms(executed[each])) for each in variants}
    return World(
        name=name,
        description="Fitted to a trace.",
        variants=tuple(
            _variant(each, variants[each], fits[each], executed[each], factors[each]) for each in variants
        ),
        assumed=("A variant of which the trace does not say it serves one request at a time.",),
        drifts=tuple(drift for each, found in fits.items() for drift in found.drifts(each)),
        failures=tuple(
            period
            for name, each in variants.items()
            if each.failing is not None
            for period in each.failing.periods(name, sample.attempts[name])
        ),
    )


def described(sample: Sample, requests: Sequence[TracedRequest]) -> dict[str, Described]:
    """Return what a trace says about the variants that were executed, in the order of the router's."""
    executed = sample.executed
    device = {each.variant: each.device for each in requests if each.variant and each.device}
    most = max((request.candidates for request in requests), key=len)
    concurrency = {each.variant: each.concurrency for each in most}
    order = list(concurrency)
    names = sorted(executed, key=lambda name: order.index(name) if name in concurrency else -1)
    fails = {name: failing(name, each, requests) for name, each in sample.attempts.items()}
    return {
        name: Described(
            device.get(name, Device.CPU),
            concurrency.get(name, 1),
            _changes(executed[name]),
            fails.get(name),
        )
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


def _points(executed: Executions) -> dict[float, float]:
    """Return the mean service time by mean size, of groups of neighboring sizes."""
    group = size_groups(executed.elements)
    total = np.bincount(group)
    means = (np.bincount(group, values) / total for values in (executed.elements, executed.service_ms))
    return dict(zip(*(each.tolist() for each in means), strict=True))
