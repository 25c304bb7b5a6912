"""A model with two variants, and how a test serves its requests."""

from collections.abc import Sequence

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.clock import Clock

GPU = Variant("resnet50_gpu", Device.GPU)
CPU = Variant("resnet50_cpu", Device.CPU, concurrency=2)


def serve(router: ModelRouter, clock: Clock, latency_ms: float, **context: object) -> RoutingDecision:
    """Route a request, advance the clock by its latency, and record it."""
    decision = router.route_request("resnet50", RoutingContext(**context))
    clock.now_s += latency_ms / 1e3
    router.record_execution(decision, latency_ms=latency_ms)
    return decision


def best(router: ModelRouter, **context: object) -> str:
    """Return the variant with the best score for such a request, without sending it."""
    decision = router.route_request("resnet50", RoutingContext(**context))
    router.record_execution(decision)
    return max(decision.candidates, key=lambda candidate: candidate.score).variant


def in_flight(router: ModelRouter) -> int:
    return sum(router.model("resnet50").state(variant.name).load.in_flight for variant in (GPU, CPU))


class FirstOfAll(Policy):
    """Picks the first candidate, and counts how often."""

    name = "first"

    def __init__(self) -> None:
        self.choices = 0

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        self.choices += 1
        for place, candidate in enumerate(candidates):
            candidate.cost = float(place)
