"""Exp3: a bandit that makes no assumption about rewards."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.choosing.decision import Execution
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate


class Exp3Policy(Policy):
    """Draws candidate k with p = (1 - γ)·w/Σw + γ/K, and learns w ← w·e^(γ·(r/p)/K). The cost is 1 - p.

    γ = min(1, √(K ln K / ((e - 1)·T))) for K candidates and a horizon of T = 10,000 requests. The original
    has rewards r in [0, 1]; here a latency y gives ȳ/(ȳ + y) with the mean ȳ so far: a half on average.

    References:
        Auer, Cesa-Bianchi, Freund, Schapire, The Nonstochastic Multiarmed Bandit Problem, SIAM J. Comput.
        2002; γ from its Corollary 3.2.
    """

    name: ClassVar[str] = "exp3"

    HORIZON = 10_000

    def __init__(self) -> None:
        self._log_weights: defaultdict[str, float] = defaultdict(float)
        self._answers = 0
        self._mean_ms = 0.0

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set one minus the probability as cost."""
        probabilities = self._mixture([candidate.variant.name for candidate in candidates])
        for candidate, probability in zip(candidates, probabilities, strict=True):
            candidate.cost = 1.0 - probability

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        """Return the mixture of the weights' shares and a uniform distribution."""
        return [1.0 - candidate.cost for candidate in candidates]

    def observe(self, execution: Execution) -> None:
        """Raise the weight of the variant by its reward, divided by the probability of drawing it."""
        latency_ms = execution.latency_ms
        if latency_ms is None or execution.service_ms is None:
            return
        self._answers += 1
        self._mean_ms += (latency_ms - self._mean_ms) / self._answers
        reward = self._mean_ms / (self._mean_ms + latency_ms)
        log_weight = self._log_weights[execution.variant]
        variants = len(self._log_weights)
        step = self._exploration(variants) * reward / (execution.decision.propensity * variants)
        self._log_weights[execution.variant] = log_weight + step

    def _mixture(self, names: list[str]) -> list[float]:
        logs = [self._log_weights[name] for name in names]
        highest = max(logs)
        weights = [math.exp(log - highest) for log in logs]
        total = sum(weights)
        explored = self._exploration(len(names))
        return [(1.0 - explored) * weight / total + explored / len(names) for weight in weights]

    def _exploration(self, variants: int) -> float:
        return min(1.0, math.sqrt(variants * math.log(variants) / ((math.e - 1.0) * self.HORIZON)))
