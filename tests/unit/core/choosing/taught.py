"""A router that has measured its variants, and a policy whose pick a test sets."""

import random
from collections.abc import Mapping, Sequence

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.candidate import Candidate

MODEL = "resnet50"
ANSWERS = 20


class Wanted(Policy):
    """The cost is the predicted latency; the variant `wanted` is picked in any case."""

    name = "wanted"

    def __init__(self, wanted: str | None = None) -> None:
        self.wanted = wanted

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        for candidate in candidates:
            candidate.cost = candidate.latency_ms

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        wanted = [float(candidate.variant.name == self.wanted) for candidate in candidates]
        return wanted if any(wanted) else super().probabilities(candidates)


class TaughtRouter:
    """A router of one model, with a clock that only the test advances.

    Args:
        service_ms: the constant service times that it has measured, by variant; others are unknown.
        variants: its variants; CPU variants by the names in `service_ms` if empty.
        settings: its settings.
        memory_mb: measured memory of each answer, by variant.
        power_w: measured power of each answer, by variant.
    """

    def __init__(
        self,
        service_ms: Mapping[str, float],
        *,
        variants: Sequence[Variant] = (),
        settings: ModelSettings | None = None,
        memory_mb: Mapping[str, float] | None = None,
        power_w: Mapping[str, float] | None = None,
    ) -> None:
        self.now_s = 0.0
        self.router = ModelRouter(clock=lambda: self.now_s, rng=random.Random(0))
        described = variants or [Variant(name, Device.CPU) for name in service_ms]
        self.router.register_model(MODEL, variants=described, settings=settings)
        self.model = self.router.model(MODEL)
        for name in service_ms:
            for _ in range(ANSWERS):
                decision = self.route(policy=f"static:{name}")
                self.now_s += service_ms[name] / 1e3
                self.router.record_execution(
                    decision,
                    latency_ms=service_ms[name],
                    memory_mb=(memory_mb or {}).get(name),
                    power_w=(power_w or {}).get(name),
                )
        self.now_s += 100.0  # after which no variant counts as busy

    def route(self, **context: object) -> RoutingDecision:
        """Route a request."""
        return self.router.route_request(MODEL, RoutingContext(**context))  # type: ignore[arg-type]

    def route_to(self, wanted: str | None = None, **context: object) -> RoutingDecision:
        """Route a request by the policy `Wanted`."""
        self.router.set_routing_policy(lambda: Wanted(wanted))
        return self.route(**context)

    def chosen(self, **context: object) -> str:
        """Return the variant of a request, which frees its place at once."""
        decision = self.route(**context)
        self.router.record_execution(decision)
        return decision.variant

    def answer(self, decision: RoutingDecision, latency_ms: float) -> None:
        """Record an answer after that latency."""
        self.now_s += latency_ms / 1e3
        self.router.record_execution(decision, latency_ms=latency_ms)
