import random
from collections.abc import Callable, Sequence

import pytest

from router_backend.core.model.logical_model import LogicalModel
from router_backend.core.policies.base import Choice, Policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.profile import VariantProfile

MakeModel = Callable[..., LogicalModel]


class Shortest(Policy):
    """Its cost is the predicted latency; a candidate of the name `wanted` is picked all the same."""

    name = "shortest"

    def __init__(self) -> None:
        self.wanted: str | None = None
        self.seen: list[str] = []
        self.told: list[tuple[str, float, float, float, float]] = []

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        self.seen = [candidate.variant.name for candidate in candidates]
        for candidate in candidates:
            candidate.cost = candidate.wait_ms + candidate.service_ms
        wanted = [candidate for candidate in candidates if candidate.variant.name == self.wanted]
        return Choice(min(wanted or candidates, key=lambda candidate: candidate.cost), propensity=0.5)

    def observe(
        self, profile: VariantProfile, size: float, propensity: float, latency_ms: float, now_s: float
    ) -> None:
        self.told.append((profile.variant.name, size, propensity, latency_ms, now_s))


@pytest.fixture
def make_model() -> MakeModel:
    """Makes a model of CPU variants by name that knows their constant service times, if any are given.

    `make_model("a", "b", learned_ms={"a": 10.0})`: what is learned was learned until second 0, and
    nothing of it counts as utilization any more from second 100 on.
    """

    def make(
        *names: str,
        learned_ms: dict[str, float] | None = None,
        variants: Sequence[Variant] = (),
        observations: int = 20,
        config: ModelSettings | None = None,
    ) -> LogicalModel:
        described = [*variants, *(Variant(name, Device.CPU) for name in names)]
        model = LogicalModel("resnet50", described, Shortest(), config or ModelSettings())
        for name, service_ms in (learned_ms or {}).items():
            teach(model, name, service_ms, observations)
        return model

    return make


def teach(model: LogicalModel, name: str, service_ms: float, observations: int) -> None:
    """Let a variant serve requests of size 1, one after the other, in `service_ms` each."""
    context = RoutingContext(allowed_variants=frozenset({name}))
    for i in range(observations):
        sent_s = i - float(observations)
        decision = model.route(context, sent_s, random.Random(0))
        model.record(decision, service_ms, None, sent_s + service_ms / 1e3)
