"""Candidates with chosen figures, for tests of what chooses among them."""

import math

from router_backend.core.learning.latency_model import LatencyModel
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.profile import VariantProfile


class StatedLatency(LatencyModel):
    """A latency model that predicts what it is told, as sure of itself as it is told."""

    def __init__(self, service_ms: float, relative_sd: float, *, known: bool = True) -> None:
        super().__init__()
        self.known = known
        self._stated_ms = service_ms
        self._stated_variance = relative_sd**2

    def predict(self, x: float) -> float:
        return self._stated_ms

    def relative_variance(self, now_s: float) -> float:
        return self._stated_variance


def candidate_of(
    name: str,
    service_ms: float,
    *,
    wait_ms: float = 0.0,
    utilization: float = 0.0,
    relative_sd: float = 0.0,
    known: bool = True,
    concurrency: int = 1,
) -> VariantProfile:
    """A variant that predicts this for the request being routed; its cost is no number until one is set."""
    candidate = VariantProfile(Variant(name, Device.CPU, concurrency), coverage=0.9)
    candidate.latency = StatedLatency(service_ms, relative_sd, known=known)
    candidate.service_ms = service_ms
    candidate.variance = relative_sd**2
    candidate.wait_ms = wait_ms
    candidate.utilization = utilization
    candidate.cost = math.nan
    return candidate
