"""A trace prepared for estimates of other policies."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np

from router_backend.core.records.outcome import Refusal
from router_tools.off_policy.doubly_robust import factor
from router_tools.simulator.array import Array
from router_tools.simulator.empirical_failures import Attempts, attempts_of
from router_tools.simulator.empirical_world import Sample, described, fitted_world
from router_tools.simulator.executions import Executions, executions
from router_tools.simulator.recorded import recorded_workload
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World

Rows = TypeVar("Rows", Executions, Attempts)

BLOCKS = 100
LONGEST_PAUSE_S = 60.0
UNSERVABLE = (Refusal.INVALID_REQUEST, Refusal.NO_VARIANT)
"""Refusals that no choice of the router would have changed, as far as a trace says."""


class Pauses(NamedTuple):
    """The pauses of a trace that were shortened.

    Args:
        number: how many.
        total_s: what was taken away.
    """

    number: int
    total_s: float


class Recording:
    """A trace, and the executions in it.

    Requests that no policy could serve are left out, and pauses in which all variants are idle are shortened
    to a minute: a longer one changes no queue, but a clock that was set would make one of years.

    Args:
        name: the name of the trace.
        requests: its requests, in order of arrival.

    Attributes:
        requests: those that a policy could serve.
        left_out: the number of the others.
        pauses: the pauses that were shortened.
        found: the executions of each variant that has enough of them, and what of the trace is not used.
        sample: these executions, and the attempts at variants that failed.
        variants: what the trace says about these.
        propensity: by request, the probability with which its variant was chosen; 1 if unknown.
        block: by request, the number of the hundredth of the trace that it is in.
        cell: by request, the number of all those in the same block whose sizes have the same power of two.

    Raises:
        ToolError: no variant has enough executions.
    """

    def __init__(self, name: str, requests: Sequence[TracedRequest]) -> None:
        self.name = name
        servable = [each for each in requests if each.refusal not in UNSERVABLE]
        self.left_out = len(requests) - len(servable)
        self.requests, self.pauses = _without_pauses(servable)
        self.found = executions(name, self.requests)
        self.sample = Sample(self.found.executed, attempts_of(self.requests, self.found.executed))
        self.variants = described(self.sample, self.requests)
        self.propensity = np.array([request.propensity or 1.0 for request in self.requests])
        count = len(self.requests)
        self.block = np.arange(count) * min(BLOCKS, count) // count
        elements = np.array([each.batch_size * each.elements_per_item for each in self.requests])
        _, cell = np.unique(np.stack([self.block, np.frexp(elements)[1]]), axis=1, return_inverse=True)
        self.cell: Array = cell.ravel()

    @property
    def length_s(self) -> float:
        """The time between the first and the last arrival."""
        return self.requests[-1].arrival_s - self.requests[0].arrival_s

    @property
    def mean_ms(self) -> float:
        """The mean latency of the answered requests, from arrival to answer, without outliers."""
        outliers = {index for each in self.found.outliers.values() for index in each.request.tolist()}
        return float(
            np.mean(
                [
                    each.queued_ms + each.latency_ms
                    for index, each in enumerate(self.requests)
                    if each.latency_ms is not None and index not in outliers
                ]
            )
        )

    @property
    def shares(self) -> dict[str, float]:
        """The share of the answers by variant, of those with enough of them."""
        counts = {name: len(self.found.executed[name].request) for name in self.variants}
        return {name: count / sum(counts.values()) for name, count in counts.items()}

    @property
    def refused(self) -> float:
        """The share of the requests that the router refused."""
        return sum(each.refusal is not None for each in self.requests) / len(self.requests)

    @property
    def failed(self) -> float:
        """The share of the requests that variants failed, without an answer by another one."""
        failed = (each.variant is None and each.refusal is None and each.failures for each in self.requests)
        return sum(map(bool, failed)) / len(self.requests)

    def workload(self) -> Workload:
        """Return the workload that repeats the requests."""
        return recorded_workload(self.name, self.requests)

    def world(self) -> World:
        """Return a world fitted to the trace."""
        return fitted_world(self.name, self.sample, self.variants)

    def corrected_world(self, sample: Sample, target: Mapping[str, Array]) -> World:
        """Return a world fitted to a sample and corrected for a policy.

        Args:
            sample: the executions and attempts.
            target: by variant, the probability that the policy sends each request there.
        """

        def correct(name: str, executed: Executions, fitted_ms: Array) -> float:
            return factor(executed, fitted_ms, target[name], self.propensity)

        return fitted_world(self.name, sample, self.variants, correct)

    def resampled(self, rng: np.random.Generator) -> Sample:
        """Return executions and attempts resampled with replacement in blocks of consecutive requests.

        Blocks rather than single requests, since the errors of successive ones may be correlated; 100 of
        them, so that those of a trace of 10,000 are longer than most queues last.

        References:
            Künsch, The jackknife and the bootstrap for general stationary observations, Annals of Statistics
            17 (1989).
        """
        blocks = int(self.block[-1]) + 1
        times = np.bincount(rng.integers(blocks, size=blocks), minlength=blocks)[self.block]
        executed, attempts = self.sample
        return Sample(
            {name: _repeated(each, times[each.request]) for name, each in executed.items()},
            {name: _repeated(each, times[each.request]) for name, each in attempts.items()},
        )


def _repeated(rows: Rows, times: Array) -> Rows:
    if not times.any():  # a rarely chosen variant
        return rows
    return type(rows)(*(np.repeat(each, times) for each in rows))


def _without_pauses(requests: Sequence[TracedRequest]) -> tuple[list[TracedRequest], Pauses]:
    """Return the requests with arrivals such that nothing is idle for longer than a minute."""
    idle_from_s = requests[0].arrival_s if requests else 0.0
    shortened, total_s, count = [], 0.0, 0
    for each in requests:
        excess_s = each.arrival_s - idle_from_s - LONGEST_PAUSE_S
        if excess_s > 0.0:
            total_s, count = total_s + excess_s, count + 1
        shortened.append(replace(each, arrival_s=each.arrival_s - total_s) if total_s else each)
        end_s = each.arrival_s + (each.queued_ms + (each.latency_ms or 0.0)) / 1e3
        idle_from_s = max(idle_from_s, end_s)
    return shortened, Pauses(count, total_s)
