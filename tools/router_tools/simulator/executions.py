"""The executions in a trace, by variant."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from router_tools.errors import ToolError
from router_tools.simulator.array import Array
from router_tools.simulator.trace import TracedRequest

MIN_EXECUTIONS = 5
_EXECUTIONS_PER_SIZE = 20
_MAX_SIZES = 50
"""Traces with fewer executions than this times the number above get groups of fewer executions."""
_OUTLIER_FACTOR = 20.0
_OUTLIER_DEVIATIONS = 8.0
_MAX_OUTLIERS = 0.01


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

    def where(self, chosen: Array) -> "Executions":
        """Return some of them."""
        return Executions(*(each[chosen] for each in self))


@dataclass(frozen=True)
class Found:
    """The executions that a world can be fitted to, and those that it cannot.

    Args:
        executed: the executions of each variant that has enough of them.
        rare: the number of answers of each of the others.
        outliers: by variant, executions whose service times are taken for errors of measurement.
    """

    executed: Mapping[str, Executions]
    rare: Mapping[str, int] = field(default_factory=dict)
    outliers: Mapping[str, Executions] = field(default_factory=dict)

    def warnings(self) -> Iterator[str]:
        """Yield what of the trace is not used, in sentences."""
        for variant, answers in self.rare.items():
            yield (
                f"{variant} is left out: it answered {answers} requests, and its service times cannot be "
                f"fitted to fewer than {MIN_EXECUTIONS}; a policy that would use it is estimated without it"
            )
        for variant, found in self.outliers.items():
            total_ms = float(self.executed[variant].service_ms.sum() + found.service_ms.sum())
            yield (
                f"{len(found.request):,} service times of {variant} (up to {found.service_ms.max():,.4g} ms) "
                f"are {_OUTLIER_FACTOR:g} or more times above or below what is usual for their size: taken "
                f"for errors of measurement and left out, with {found.service_ms.sum() / total_ms:.1%} of "
                "the time that it served; if they are true, estimates are too low"
            )


def executions(name: str, requests: Sequence[TracedRequest]) -> Found:
    """Return the executions of each variant that has enough of them.

    A missing service time is inferred as with one instance: finish - max(sent, previous finish).

    Raises:
        ToolError: there is no such variant in the trace of this name.
    """
    answered: dict[str, list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        if request.variant is not None and request.has_own_latency:
            answered[request.variant].append(index)
    enough = {variant: each for variant, each in answered.items() if len(each) >= MIN_EXECUTIONS}
    if not enough:
        raise ToolError(
            f"{name}: expected a variant with at least {MIN_EXECUTIONS} answered requests to fit a world "
            f"to, found {', '.join(answered) or 'none'}: record more"
        )
    seen = {*answered, *(each.variant for request in requests for each in request.candidates)}
    everything = {variant: _executions(each, requests) for variant, each in enough.items()}
    outlying = {variant: _outliers(each) for variant, each in everything.items()}
    return Found(
        {variant: each.where(~outlying[variant]) for variant, each in everything.items()},
        {variant: len(answered.get(variant, ())) for variant in sorted(seen - set(enough))},
        {variant: everything[variant].where(each) for variant, each in outlying.items() if each.any()},
    )


def size_groups(elements: Array) -> Array:
    """Return the number of the group of each size: neighboring sizes with enough executions together."""
    _, of = np.unique(elements, return_inverse=True)
    enough = min(max(MIN_EXECUTIONS, len(of) // _MAX_SIZES), _EXECUTIONS_PER_SIZE)
    below = np.cumsum(np.bincount(of)) // enough
    # A group ends with the size that completes it; what is left after the last belongs to it.
    groups = np.minimum(np.concatenate([[0], below[:-1]]), max(below[-1] - 1, 0))[of]
    _, numbers = np.unique(groups, return_inverse=True)
    group: Array = numbers
    return group


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


def _outliers(executed: Executions) -> Array:
    """Return which executions take far more or less time than the median of their size.

    None if they are so many that they are no accident.
    """
    group = size_groups(executed.elements)
    medians_ms = [np.median(executed.service_ms[group == number]) for number in range(group.max() + 1)]
    distance = np.abs(np.log(executed.service_ms / np.array(medians_ms)[group]))
    deviation = 1.4826 * float(np.median(distance))
    outlying: Array = distance > max(math.log(_OUTLIER_FACTOR), _OUTLIER_DEVIATIONS * deviation)
    if outlying.sum() > max(1.0, _MAX_OUTLIERS * len(outlying)):
        outlying[:] = False
    return outlying
