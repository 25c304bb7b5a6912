"""A host of `Dispatch` without a server: the test forwards and sets the clock."""

import random
from collections.abc import Sequence

from router_backend.core.choosing.decision import Execution
from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.policies.base import Policy
from router_backend.core.records.outcome import Outcome, Refusal
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.telemetry.counters import VariantCounts
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.health import BreakerState
from tests.unit.core.clock import Clock

Ends = tuple[int, int, int]
"""Successes, failures, ignored."""


class DefectError(Exception):
    """A defect in a policy of a user."""


class InOrder(Policy):
    """Picks the first candidate, and keeps all executions that it observes."""

    name = "in_order"

    def __init__(self) -> None:
        self.observed: list[Execution] = []
        self.is_defective = False
        self.cannot_score = False

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        if self.cannot_score:
            raise DefectError
        for place, candidate in enumerate(candidates):
            candidate.cost = float(place)

    def observe(self, execution: Execution) -> None:
        self.observed.append(execution)
        if self.is_defective:
            raise DefectError


class Host:
    """A router of one model with three variants, which are tried in the order a, b, c."""

    def __init__(self, settings: ModelSettings | None = None) -> None:
        self.clock = Clock(1000.0)
        self.policy = InOrder()
        self.defects: list[Exception] = []
        self.router = ModelRouter(
            settings, clock=self.clock, rng=random.Random(0), on_defect=self.defects.append
        )
        self.router.set_routing_policy(lambda: self.policy)
        self.router.register_model("m", variants=[Variant(name, Device.CPU) for name in "abc"])

    def dispatch(self, **context: object) -> Dispatch:
        return self.router.dispatch("m", RoutingContext(**context))

    def attempt(self, name: str, **context: object) -> Attempt:
        """Return the only attempt of a request that allows only this variant."""
        return self.dispatch(allowed_variants=frozenset({name}), **context).next_attempt()

    def answer(self, attempt: Attempt, latency_ms: float) -> Execution | None:
        """Advance the clock by the latency of an answer, and report it."""
        self.clock.now_s += latency_ms / 1e3
        return attempt.succeeded(latency_ms)

    def counts(self, name: str) -> VariantCounts:
        return self.router.get_metrics().get_model_metrics("m").variants[name].counts

    @property
    def ends(self) -> dict[str, Ends]:
        """Return how the attempts at each variant ended, for variants with attempts."""
        variants = self.router.get_metrics().get_model_metrics("m").variants.values()
        counted = {each.variant: tuple(each.count(outcome) for outcome in Outcome) for each in variants}
        return {name: ends for name, ends in counted.items() if any(ends)}

    @property
    def in_flight(self) -> dict[str, int]:
        states = self.router.model("m").states
        return {name: state.load.in_flight for name, state in states.items() if state.load.in_flight}

    def breaker(self, name: str) -> BreakerState:
        return self.router.model("m").state(name).breaker.state

    @property
    def refusals(self) -> dict[Refusal, int]:
        counted = self.router.get_metrics().get_model_metrics("m").counts.refusals
        return {refusal: count for refusal, count in counted.items() if count}
