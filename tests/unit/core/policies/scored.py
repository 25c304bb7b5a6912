"""Candidates with given figures, and what a policy makes of them."""

from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.base import Policy
from router_backend.core.policies.registry import create_policy
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.candidate import Candidate
from tests.unit.core import candidates as core_candidates


def candidate(
    name: str,
    device: Device,
    service_ms: float,
    *,
    wait_ms: float = 0.0,
    utilization: float = 0.0,
    relative_sd: float = 0.0,
    concurrency: int = 1,
    weight: float = 1.0,
    power_w: float | None = None,
    characteristics: ModelCharacteristics | None = None,
    suitability: Suitability | None = None,
) -> Candidate:
    stated = suitability or Suitability()
    power = None
    if power_w is not None:
        power = ResourceModel()
        power.update(1.0, power_w)
    return Candidate(
        Variant(name, device, concurrency, characteristics=characteristics, suitability=stated),
        service_ms=service_ms,
        wait_ms=wait_ms,
        variance=relative_sd**2,
        utilization=utilization,
        concurrency=concurrency,
        weight=weight,
        power=power,
    )


def pick(policy: Policy, candidates: list[Candidate], context: RoutingContext | None = None) -> str:
    return core_candidates.pick(policy, *candidates, context=context)[0].variant.name


def score(policy: Policy, *candidates: Candidate, context: RoutingContext | None = None) -> list[float]:
    """Return the costs that a policy sets."""
    policy.score(candidates, core_candidates.request_of(context))
    return [each.cost for each in candidates]


def saturated(name: str, service_ms: float, wait_ms: float, weight: float = 1.0) -> Candidate:
    made = candidate(name, Device.GPU, service_ms, wait_ms=wait_ms, utilization=1.0, weight=weight)
    made.mean_service_ms = 10.0
    return made


def weights(**named: str) -> Policy:
    """Return the adaptive policy with only these weights."""
    return create_policy("adaptive", dict.fromkeys(AdaptiveRoutingPolicy.DEFAULT_WEIGHTS, "0") | named)
