"""Requests to a logical model."""

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from tests.unit.core.conftest import NOW_S, ClockedModel


def route(model: ClockedModel, now_s: float = NOW_S, **context: object) -> RoutingDecision:
    return model.at(now_s).route(RoutingContext(**context))


def only(*names: str) -> frozenset[str]:
    return frozenset(names)


def fail(model: ClockedModel, name: str, fault: Fault, times: int, now_s: float = NOW_S) -> None:
    """Let the variant fail a number of requests in a row, at the same time."""
    decisions = [route(model, now_s, allowed_variants=only(name)) for _ in range(times)]
    for decision in decisions:
        model.record(decision, fault=fault)


def reasons(decision: RoutingDecision) -> dict[str, str | None]:
    return {candidate.variant: candidate.reason_out for candidate in decision.candidates}
