"""The power-efficient policy: least energy among those that are fast enough."""

import random
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.policies.baselines.least_cost import least_cost
from router_backend.core.policies.energy import energy_mj
from router_backend.core.policies.exploration import ExplorationBudget
from router_backend.core.profile import VariantProfile
from router_backend.core.request import RoutingContext


class PowerEfficientPolicy(Policy):
    """Least P · S among the candidates whose latency fits, where P is the power drawn while it serves.

    That is the most performance per watt: a device of few watts, such as the Neural Engine, wins wherever it
    is not slower than others by more than it is thriftier. A candidate fits when 1.1 · (W + S) is within
    the request's deadline; without a deadline, within 5 times the least latency of all, so that nobody queues
    for the thriftiest device without an end. Where none fits, the least latency counts.

    The cost is told as latency, so that candidates that do not fit rank behind those that do, and probes
    are paid from the same budget: the least latency times the energy relative to the least.

    References:
        The rule: energy-aware dispatching under a latency bound, e.g. Gandhi et al., SIGMETRICS 2009.
    """

    name: ClassVar[str] = "power"

    MARGIN = 1.1
    PATIENCE = 5.0

    def __init__(self) -> None:
        self._exploration = ExplorationBudget()

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the least energy that is in time."""
        least_ms = min(candidate.latency_ms for candidate in candidates)
        bound_ms = context.max_latency_ms
        if bound_ms is None:
            bound_ms = self.PATIENCE * least_ms
        fitting = [candidate for candidate in candidates if self.MARGIN * candidate.latency_ms <= bound_ms]
        if not fitting:
            return Choice(_soonest(candidates))
        least_mj = min(map(energy_mj, fitting))
        for candidate in candidates:
            candidate.cost = least_ms * energy_mj(candidate) / least_mj / candidate.weight
        best = least_cost(fitting)
        _put_behind([candidate for candidate in candidates if candidate not in fitting], fitting)
        probe = self._exploration.probe(fitting, best)
        return Choice(best) if probe is None else Choice(probe, 1.0, True)


def _soonest(candidates: list[VariantProfile]) -> VariantProfile:
    for candidate in candidates:
        candidate.cost = candidate.latency_ms / candidate.weight
    return least_cost(candidates)


def _put_behind(late: list[VariantProfile], fitting: list[VariantProfile]) -> None:
    """Those that do not fit cost more than any that does."""
    dearest = max(candidate.cost for candidate in fitting)
    for candidate in late:
        candidate.cost += dearest
