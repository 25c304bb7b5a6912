"""The power-efficient policy: lowest energy in time, with a price on the time of efficient devices."""

from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.policies.congestion_price import priority_factor
from router_backend.core.policies.energy import energy_mj
from router_backend.core.policies.opportunity_price import OpportunityPrice
from router_backend.core.policies.picker import weighted_cost
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class PowerEfficientPolicy(Policy):
    """Lowest (P · S + λ · S) · max(1, (W + S) / bound), where P is the power drawn during service.

    P · S is the energy of the request. λ is the value of the variant's time to later requests
    (`OpportunityPrice`): without it, requests that save little occupy an efficient device, and those that
    would save much are late or go to an inefficient one. A request of priority p pays 2^(-p) of λ.

    If the request has a deadline and some candidates meet it with a margin, 1.05 · (W + S), only these count,
    and the last factor is 1. Otherwise the bound is twice the lowest latency of all. Up to the bound only
    energy counts; beyond it, savings must be worth the delay, percent for percent (lowest energy-delay
    product). So queues at efficient devices stay short, an inefficient one is not used to save a little
    waiting, and a request that is late anyway does not spend energy on being less late.

    The cost is in ms, as exploration requires: the lowest latency times the cost relative to the lowest.
    Candidates that miss the deadline rank behind those that meet it.

    References:
        The rule: energy-aware dispatching under a latency bound, e.g. Gandhi et al., SIGMETRICS 2009. The
        energy-delay product: Gonzalez and Horowitz, IEEE Journal of Solid-State Circuits 31 (1996). The
        numbers 1.05 and 2 were chosen in the simulator.
    """

    name: ClassVar[str] = "power"
    explores: ClassVar[bool] = True

    MARGIN = 1.05
    PATIENCE = 2.0

    def __init__(self) -> None:
        self._price = OpportunityPrice()

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the priced energy as cost, expressed as latency."""
        soonest_ms = min([candidate.latency_ms for candidate in candidates])
        fitting, bound_ms = self._fitting(candidates, request.deadline_ms, soonest_ms)
        energies_mj = [energy_mj(candidate) for candidate in candidates]
        priority = request.context.priority
        factor = priority_factor(priority) if priority else 1.0
        for candidate, mj in zip(candidates, energies_mj, strict=True):
            cost = mj + factor * self._price.mj_per_ms(candidate) * candidate.service_ms
            latency_ms = candidate.wait_ms + candidate.service_ms
            candidate.cost = cost if latency_ms <= bound_ms else cost * latency_ms / bound_ms
        costs = [candidate.cost / candidate.weight for candidate in fitting]
        lowest = min(costs)
        best = fitting[costs.index(lowest)]
        if not request.context.dry_run:
            self._learn(candidates, energies_mj, fitting, best)
        ms_per_cost = soonest_ms / lowest
        for candidate in candidates:
            candidate.cost *= ms_per_cost
        if len(fitting) < len(candidates):
            _rank_behind([candidate for candidate in candidates if candidate not in fitting], fitting)

    def _fitting(
        self, candidates: Sequence[Candidate], deadline_ms: float | None, soonest_ms: float
    ) -> tuple[Sequence[Candidate], float]:
        """Return the candidates that count, and the latency up to which only energy counts."""
        if deadline_ms is None or self.MARGIN * soonest_ms > deadline_ms:
            return candidates, self.PATIENCE * soonest_ms
        fitting = [c for c in candidates if self.MARGIN * (c.wait_ms + c.service_ms) <= deadline_ms]
        return fitting, deadline_ms

    def _learn(
        self,
        candidates: Sequence[Candidate],
        energies_mj: list[float],
        fitting: Sequence[Candidate],
        best: Candidate,
    ) -> None:
        """Learn what the best saves compared with the most efficient other that fits, or else of all."""
        others = fitting if len(fitting) > 1 else candidates
        own_mj = other_mj = 0.0
        for candidate, mj in zip(candidates, energies_mj, strict=True):
            if candidate is best:
                own_mj = mj
            elif (mj < other_mj or not other_mj) and candidate in others:
                other_mj = mj
        if other_mj:
            self._price.served(best, other_mj - own_mj)


def _rank_behind(late: Sequence[Candidate], fitting: Sequence[Candidate]) -> None:
    """Make candidates that do not fit cost more than any that does, also by weight."""
    highest = max(map(weighted_cost, fitting))
    for candidate in late:
        candidate.cost += highest * candidate.weight
