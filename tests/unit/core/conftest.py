import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from router_backend.core.choosing.decision import Execution
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.clock import Clock

NOW_S = 100.0


class Shortest(Policy):
    """The cost is the predicted latency; a candidate named `wanted` is picked in any case.

    Each pick has a propensity of one half, by which a test recognizes it.
    """

    name = "shortest"

    def __init__(self) -> None:
        self.wanted: str | None = None
        self.seen: list[str] = []
        self.observed: list[Execution] = []

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        self.seen = [candidate.variant.name for candidate in candidates]
        for candidate in candidates:
            candidate.cost = candidate.latency_ms

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        wanted = [0.5 * (candidate.variant.name == self.wanted) for candidate in candidates]
        return wanted if any(wanted) else [0.5 * each for each in super().probabilities(candidates)]

    def observe(self, execution: Execution) -> None:
        self.observed.append(execution)


class ClockedModel:
    """A logical model with its policy, and a clock that only the test advances."""

    def __init__(self, router: ModelRouter, policy: Shortest, clock: Clock) -> None:
        self.policy = policy
        self._model = router.model("resnet50")
        self._clock = clock

    def at(self, now_s: float) -> "ClockedModel":
        """Set the clock, and return the model: `model.at(100.02).record(decision, latency_ms=20.0)`."""
        self._clock.now_s = now_s
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


MakeModel = Callable[..., ClockedModel]


@pytest.fixture
def make_model() -> MakeModel:
    """Creates a model of CPU variants, which has learned their constant service times if any are given.

    `make_model("a", "b", learned_ms={"a": 10.0})`: it learned until second 0; its clock shows second 100,
    when none of that counts as utilization.
    """

    def make(
        *names: str,
        learned_ms: dict[str, float] | None = None,
        variants: Sequence[Variant] = (),
        observations: int = 20,
        settings: ModelSettings | None = None,
        copies: bool = False,
    ) -> ClockedModel:
        clock = Clock(-1000.0)  # before all that was learned
        router = ModelRouter(settings, clock=clock, rng=random.Random(0), copies=copies)
        policy = Shortest()
        router.set_routing_policy(lambda: policy)
        described = [*variants, *(Variant(name, Device.CPU) for name in names)]
        router.register_model("resnet50", variants=described)
        model = ClockedModel(router, policy, clock)
        teach(model, learned_ms or {}, observations)
        return model.at(NOW_S)

    return make


def teach(model: ClockedModel, service_ms: dict[str, float], observations: int) -> None:
    """Let variants serve requests of size 1 in their service times, one after the other, once a second."""
    for i in range(observations):
        now_s = i - float(observations)
        for name, latency_ms in service_ms.items():
            decision = model.at(now_s).route(RoutingContext(allowed_variants=frozenset({name})))
            now_s += latency_ms / 1e3
            model.at(now_s).record(decision, latency_ms=latency_ms)
