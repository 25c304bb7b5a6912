"""Candidates and questions for the baselines, which use none of the router's predictions."""

import math
import random

from router_backend.core.choosing.decision import Choice
from router_backend.core.policies.base import Policy
from router_backend.core.policies.picker import Picker
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.candidates import candidate_of, execution_of


def holding(name: str, in_flight: int = 0, concurrency: int = 1) -> Candidate:
    """Return a candidate with requests in flight; a policy that used its predictions would show NaN."""
    return candidate_of(
        name,
        math.nan,
        wait_ms=math.nan,
        utilization=math.nan,
        in_flight=in_flight,
        concurrency=concurrency,
    )


def choose(policy: Policy, *candidates: Candidate, now_s: float = 0.0, size: float = 1.0) -> Choice:
    """Return what is picked for a request of this size."""
    for candidate in candidates:
        candidate.size = size
    return Picker(policy).pick(candidates, Request(RoutingContext(), None, now_s), random.Random(0))


def answer(
    policy: Policy,
    candidate: Candidate,
    latency_ms: float,
    now_s: float = 0.0,
    *,
    service_ms: float | None = None,
    size: float = 1.0,
    propensity: float = 1.0,
    sent_s: float = 0.0,
) -> None:
    """Report an answer to a request that met what the candidate has in flight, and leaves as many behind."""
    execution = execution_of(
        policy,
        candidate,
        latency_ms=latency_ms,
        service_ms=latency_ms if service_ms is None else service_ms,
        size=size,
        propensity=propensity,
        sent_s=sent_s,
        finished_s=now_s,
        in_flight_now=candidate.in_flight,
    )
    policy.observe(execution)


def shares(policy: Policy, *candidates: Candidate, draws: int = 4000) -> dict[str, float]:
    """Return how often each candidate is picked in many draws with seeded chance."""
    picker, request, rng = Picker(policy), Request(RoutingContext(), None, 0.0), random.Random(7)
    counts = dict.fromkeys((candidate.variant.name for candidate in candidates), 0)
    for _ in range(draws):
        counts[picker.pick(candidates, request, rng)[0].variant.name] += 1
    return {name: count / draws for name, count in counts.items()}
