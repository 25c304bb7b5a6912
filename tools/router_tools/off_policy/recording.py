"""A trace prepared for estimates of other policies."""

from collections.abc import Mapping, Sequence

import numpy as np

from router_tools.off_policy.doubly_robust import factor
from router_tools.simulator.array import Array
from router_tools.simulator.empirical_world import Executions, described, executions, fitted_world
from router_tools.simulator.recorded import recorded_workload
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World

BLOCKS = 100


class Recording:
    """A trace, and the executions in it.

    Args:
        name: the name of the trace.
        requests: its requests, in order of arrival.

    Attributes:
        executed: the executions of each variant that has enough of them.
        variants: what the trace says about these.
        propensity: by request, the probability with which its variant was chosen; 1 if unknown.
        block: by request, the number of the hundredth of the trace that it is in.
        cell: by request, the number of all those in the same block whose sizes have the same power of two.

    Raises:
        ToolError: no variant has enough executions.
    """

    def __init__(self, name: str, requests: Sequence[TracedRequest]) -> None:
        self.name = name
        self.requests = requests
        self.executed = executions(name, requests)
        self.variants = described(self.executed, requests)
        self.propensity = np.array([request.propensity or 1.0 for request in requests])
        count = len(requests)
        self.block = np.arange(count) * min(BLOCKS, count) // count
        elements = np.array([each.batch_size * each.elements_per_item for each in requests])
        _, cell = np.unique(np.stack([self.block, np.frexp(elements)[1]]), axis=1, return_inverse=True)
        self.cell: Array = cell.ravel()

    @property
    def mean_ms(self) -> float:
        """The mean latency of the answered requests."""
        return float(np.mean([each.latency_ms for each in self.requests if each.latency_ms is not None]))

    def workload(self) -> Workload:
        """Return the workload that repeats the requests."""
        return recorded_workload(self.name, self.requests)

    def world(self) -> World:
        """Return a world fitted to the trace."""
        return fitted_world(self.name, self.executed, self.variants)

    def corrected_world(self, executed: dict[str, Executions], target: Mapping[str, Array]) -> World:
        """Return a world fitted to executions and corrected for a policy.

        Args:
            executed: the executions of each variant.
            target: by variant, the probability that the policy sends each request there.
        """

        def correct(name: str, executed: Executions, fitted_ms: Array) -> float:
            return factor(executed, fitted_ms, target[name], self.propensity)

        return fitted_world(self.name, executed, self.variants, correct)

    def resampled(self, rng: np.random.Generator) -> dict[str, Executions]:
        """Return executions resampled with replacement in blocks of consecutive requests.

        Blocks rather than single requests, since the errors of successive ones may be correlated; 100 of
        them, so that those of a trace of 10,000 are longer than most queues last.

        References:
            Künsch, The jackknife and the bootstrap for general stationary observations, Annals of Statistics
            17 (1989).
        """
        blocks = int(self.block[-1]) + 1
        times = np.bincount(rng.integers(blocks, size=blocks), minlength=blocks)[self.block]
        return {name: _repeated(each, times[each.request]) for name, each in self.executed.items()}


def _repeated(executed: Executions, times: Array) -> Executions:
    if not times.any():  # a rarely chosen variant
        return executed
    return Executions(*(np.repeat(each, times) for each in executed))
