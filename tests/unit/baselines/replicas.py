"""Candidates and questions for the baselines, which know nothing of what the router predicts."""

import math
import random

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile
from tests.unit.core.candidates import candidate_of


def holding(name: str, in_flight: int = 0, concurrency: int = 1) -> VariantProfile:
    """A candidate with so many requests in flight; a policy that used its predictions would show NaN."""
    candidate = candidate_of(name, math.nan, wait_ms=math.nan, utilization=math.nan, concurrency=concurrency)
    for _ in range(in_flight):
        candidate.load.enter(1.0, 0.0)
    return candidate


def choose(policy: Policy, *candidates: VariantProfile, now_s: float = 0.0, batch_size: int = 1) -> Choice:
    return policy.choose(list(candidates), RoutingContext(batch_size), now_s, random.Random(0))


def answer(
    policy: Policy,
    profile: VariantProfile,
    latency_ms: float,
    now_s: float = 0.0,
    *,
    size: float = 1.0,
    propensity: float = 1.0,
) -> None:
    policy.observe(profile, size, propensity, latency_ms, now_s)


def shares(policy: Policy, *candidates: VariantProfile, draws: int = 4000) -> dict[str, float]:
    """How often each candidate is picked in many draws with seeded chance."""
    rng, counts = random.Random(7), dict.fromkeys((c.variant.name for c in candidates), 0)
    for _ in range(draws):
        counts[policy.choose(list(candidates), RoutingContext(), 0.0, rng).candidate.variant.name] += 1
    return {name: count / draws for name, count in counts.items()}
