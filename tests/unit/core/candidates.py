"""Helpers: candidates with given figures, the pick among them, and how an attempt ended."""

import math
import random

from router_backend.core.choosing.decision import Choice, Execution, RoutingDecision
from router_backend.core.policies.base import Policy
from router_backend.core.policies.picker import Picker
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.load import Place
from router_backend.core.variants.state import VariantState


def candidate_of(
    name: str,
    service_ms: float,
    *,
    wait_ms: float = 0.0,
    utilization: float = 0.0,
    relative_sd: float = 0.0,
    in_flight: int = 0,
    concurrency: int = 1,
    weight: float = 1.0,
) -> Candidate:
    """Return a candidate with these predictions; its cost is NaN until a policy sets one."""
    candidate = Candidate(
        Variant(name, Device.CPU, concurrency),
        service_ms=service_ms,
        wait_ms=wait_ms,
        variance=relative_sd**2,
        utilization=utilization,
        in_flight=in_flight,
        concurrency=concurrency,
        weight=weight,
    )
    candidate.cost = math.nan
    return candidate


def request_of(context: RoutingContext | None = None, now_s: float = 0.0) -> Request:
    """Return a request whose deadline is the one that its context states."""
    context = context or RoutingContext()
    return Request(context, context.max_latency_ms, now_s)


def pick(policy: Policy, *candidates: Candidate, context: RoutingContext | None = None) -> Choice:
    """Return the pick of the policy; the number drawn is 0.84, above any small chance."""
    return Picker(policy).pick(candidates, request_of(context), random.Random(0))


def execution_of(
    policy: Policy,
    candidate: Candidate,
    outcome: Outcome = Outcome.SUCCESS,
    *,
    latency_ms: float | None = None,
    service_ms: float | None = None,
    fault: Fault | None = None,
    size: float = 1.0,
    propensity: float = 1.0,
    sent_s: float = 0.0,
    finished_s: float = 0.0,
    in_flight_now: int = 0,
) -> Execution:
    """Return how an attempt at the candidate ended."""
    state = VariantState(candidate.variant, coverage=0.9)
    state.load.in_flight = in_flight_now
    candidate.in_flight += 1  # the request itself
    decision = RoutingDecision(
        "m",
        RoutingContext(),
        size,
        sent_s,
        None,
        (candidate, propensity, False),
        state,
        Place(candidate.service_ms, sent_s),
        [candidate],
        [],
        policy,
        None,
        lambda _: None,
    )
    candidate.in_flight -= 1
    return Execution(decision, outcome, finished_s, latency_ms, service_ms, fault)
