"""How the variants compared in one decision, to explain it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from router_backend.core.records.basis import Basis
from router_backend.core.records.variant import Device, Variant

ScoredCandidate = tuple[Variant, float, float, float, float, Basis]
"""A candidate's variant, cost, predicted wait and service time in ms, relative variance of the latter, and
basis."""


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """How one variant compared in a decision.

    Args:
        variant: its name.
        device: the hardware it runs on.
        score: from 0 to 1; 1 for the best, 0 if it was rejected.
        expected_latency_ms: predicted wait and service; `None` if it was rejected, or only guessed.
        reason_out: why it could not be chosen; `None` if it could.
        basis: what the prediction is based on; `None` if it was rejected.
    """

    variant: str
    device: Device
    score: float
    expected_latency_ms: float | None
    reason_out: str | None
    basis: Basis | None = None

    @classmethod
    def of_rejected(cls, variant: Variant, reason: str) -> CandidateReport:
        """Return the report on a variant that a filter rejected."""
        return cls(variant.name, variant.device, 0.0, None, reason)


class Ranking:
    """Compares the candidates of one decision with the chosen one."""

    def __init__(self, chosen: str, scored: Sequence[ScoredCandidate]) -> None:
        self._scored = scored
        self._chosen = next(each for each in scored if each[0].name == chosen)
        self._others = sorted((each for each in scored if each is not self._chosen), key=_cost)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The other candidates, the next best first."""
        return tuple(each[0].name for each in self._others)

    @property
    def confidence(self) -> float:
        """Probability that the chosen candidate is better than the best other: Φ(Δ / √(v₁ + v₂)).

        Δ is the lead in cost, v the variance of the predicted service time; of their logarithms if one of the
        two was not measured, since it may be wrong by a factor. Below 0.5 for a probe; 0 if the chosen one
        was only guessed. If there is no other candidate, 1 if this one was measured, else 0.

        It says how sure the choice is, not how exact the predicted latency: two variants that are alike have
        0.5, however well they are known, and one that is far better has 1, however noisy it is. How exact the
        latency is, the prediction interval says. About as many choices are right as it says, or more.
        """
        if self._chosen[-1] is Basis.GUESS:
            return 0.0
        if not self._others:
            return float(self._chosen[-1] is Basis.MEASURED)
        pair = self._chosen, self._others[0]
        cost, rival_cost = map(_cost, pair)
        if cost > 0.0 and any(each[-1] is not Basis.MEASURED for each in pair):
            variance = sum(relative for *_, relative, _ in pair)
            lead = math.log(rival_cost / cost) if rival_cost > 0.0 else -math.inf
        else:
            variance = sum(service_ms**2 * relative for *_, service_ms, relative, _ in pair)
            lead = rival_cost - cost
        if variance == 0.0:
            return 0.5 if lead == 0.0 else float(lead > 0.0)
        return 0.5 * (1.0 + math.erf(lead / math.sqrt(2.0 * variance)))

    def reports(self) -> Iterator[CandidateReport]:
        """Yield a report on every candidate."""
        lowest = min(map(_cost, self._scored))
        for variant, cost, wait_ms, service_ms, _, basis in self._scored:
            expected_ms = None if basis is Basis.GUESS else wait_ms + service_ms
            score = _score(lowest, cost)
            yield CandidateReport(variant.name, variant.device, score, expected_ms, None, basis)


def _cost(candidate: ScoredCandidate) -> float:
    return candidate[1]


def _score(lowest_cost: float, cost: float) -> float:
    """Return a cost as a score in [0, 1]."""
    if cost <= 0.0:
        return 1.0
    return max(0.0, lowest_cost / cost)
