"""What was decided for one request, and why."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from router_backend.core.experiments.arm import Arm
from router_backend.core.policies.base import Choice, Policy
from router_backend.core.records.variant import Device
from router_backend.core.variants.load import Place
from router_backend.core.variants.profile import VariantProfile

Standing = tuple[VariantProfile, float, float, float, float]
"""A candidate's profile, cost, predicted wait and predicted service time, in ms, and the variance of that."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """How one variant stood in a decision.

    Args:
        variant: its name.
        device: the hardware it runs on.
        score: its standing from 0 to 1; 1: the best, 0: it was out.
        expected_latency_ms: predicted wait and service; None: it was out.
        reason_out: why it could not be chosen; None: it could.
    """

    variant: str
    device: Device
    score: float
    expected_latency_ms: float | None
    reason_out: str | None


class RoutingDecision:
    """The variant for one request. Holds the request's place in flight until it is recorded.

    A decision that is dropped unrecorded gives its place back by itself.

    Args:
        model_name: the logical model.
        chooser: the policy that chose.
        size: the request's size x, in reference requests.
        now_s: when it was decided.
        choice: what the policy picked.
        candidates: the variants that could have been picked.
        out: those that could not, each with the reason.
        place: the place in flight at the picked one.
        deadline_ms: within what it is to be answered; None: whenever it is.
        abandon: takes the place back, from whichever thread drops the decision.
        arm: the side of an experiment that it counts for; None: it counts for none.

    Attributes:
        expected_latency_ms: predicted wait and service of the chosen variant.
        expected_service_ms: predicted service time of the chosen variant, waiting excluded.
        propensity: the probability with which the variant was chosen.
        probe: whether it was chosen to learn rather than because it was best.
    """

    __slots__ = (
        "_abandon",
        "_half_width",
        "_out",
        "_place",
        "_standings",
        "arm",
        "chooser",
        "deadline_ms",
        "expected_latency_ms",
        "expected_service_ms",
        "model_name",
        "now_s",
        "probe",
        "profile",
        "propensity",
        "size",
    )

    def __init__(
        self,
        model_name: str,
        chooser: Policy,
        size: float,
        now_s: float,
        choice: Choice,
        candidates: list[VariantProfile],
        out: list[tuple[VariantProfile, str]],
        place: Place,
        deadline_ms: float | None,
        abandon: Callable[[tuple[VariantProfile, Place]], None],
        arm: Arm | None = None,
    ) -> None:
        profile = choice.candidate
        self.model_name = model_name
        self.chooser = chooser
        self.size = size
        self.now_s = now_s
        self.profile = profile
        self.propensity = choice.propensity
        self.probe = choice.probe
        self.expected_service_ms = profile.service_ms
        self.expected_latency_ms = profile.wait_ms + profile.service_ms
        self._half_width = profile.interval.half_width
        self._standings: list[Standing] = [
            (c, c.cost, c.wait_ms, c.service_ms, c.variance) for c in candidates
        ]
        self._out = out
        self._place: Place | None = place
        self.deadline_ms = deadline_ms
        self._abandon = abandon
        self.arm = arm

    def __del__(self) -> None:
        if self._place is not None:
            self._abandon((self.profile, self._place))

    @property
    def variant(self) -> str:
        """The chosen variant's name."""
        return self.profile.variant.name

    @property
    def device(self) -> Device:
        """The hardware that the chosen variant runs on."""
        return self.profile.variant.device

    @property
    def policy(self) -> str:
        """The name of the policy that chose."""
        return self.chooser.name

    @property
    def expected_memory_mb(self) -> float | None:
        """Memory that the request is expected to take at the chosen variant; None: not known."""
        return self.profile.memory.predict(self.size) or None

    @property
    def expected_power_w(self) -> float | None:
        """Power that the chosen variant is expected to draw while it serves the request; None: not known."""
        return self.profile.power.predict(self.size) or None

    @property
    def expected_interval_ms(self) -> tuple[float, float]:
        """Between what and what the latency is expected, at the configured coverage."""
        factor = math.exp(self._half_width)
        return self.expected_latency_ms / factor, self.expected_latency_ms * factor

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The other variants that can serve the request, the next best first."""
        others = [standing for standing in self._standings if standing[0] is not self.profile]
        return tuple(standing[0].variant.name for standing in sorted(others, key=_cost))

    @property
    def reason(self) -> str:
        """Why this variant, in a sentence."""
        expected = f"expected in {self.expected_latency_ms:.4g} ms"
        among = f"{len(self._standings)} of {len(self._standings) + len(self._out)} variants could serve it"
        if self.probe:
            return f"tried to learn more about '{self.variant}' by '{self.policy}', {expected}; {among}"
        return f"best by '{self.policy}', {expected}; {among}"

    @property
    def confidence(self) -> float:
        """Probability that the chosen variant is better than the best of the others: Φ(Δ / √(v₁ + v₂)).

        Δ is the lead in cost, v the variance of the predicted service time. 1 when there was no other;
        below 0.5 for a probe.
        """
        others = [standing for standing in self._standings if standing[0] is not self.profile]
        if not others:
            return 1.0
        (chosen,) = (standing for standing in self._standings if standing[0] is self.profile)
        rival = min(others, key=_cost)
        variance = sum(service_ms**2 * relative for _, _, _, service_ms, relative in (chosen, rival))
        lead = rival[1] - chosen[1]
        if variance == 0.0:
            return 0.5 if lead == 0.0 else float(lead > 0.0)
        return 0.5 * (1.0 + math.erf(lead / math.sqrt(2.0 * variance)))

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every variant of the model: its score and prediction, or the reason it was out."""
        best = min(map(_cost, self._standings))
        inside = (
            Candidate(p.variant.name, p.variant.device, _score(best, cost), wait_ms + service_ms, None)
            for p, cost, wait_ms, service_ms, _ in self._standings
        )
        outside = (Candidate(p.variant.name, p.variant.device, 0.0, None, reason) for p, reason in self._out)
        return (*inside, *outside)

    def take_place(self) -> Place | None:
        """Hand over the place in flight, once; None when the decision was recorded already."""
        place, self._place = self._place, None
        return place


def _cost(standing: Standing) -> float:
    return standing[1]


def _score(best_cost: float, cost: float) -> float:
    """Costs as scores in [0, 1], clamped here and nowhere else."""
    if cost <= 0.0:
        return 1.0
    return min(1.0, max(0.0, best_cost / cost))
