"""The energy that a request is expected to consume."""

from router_backend.core.variants.candidate import Candidate


def energy_mj(candidate: Candidate) -> float:
    """Return the energy of the request being routed, its share of power times service time, in mJ."""
    return candidate.power_w * candidate.service_ms * (1.0 + candidate.excess)
