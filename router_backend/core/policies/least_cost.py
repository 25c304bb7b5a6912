"""The pick that most policies end with."""

from router_backend.core.variants.profile import VariantProfile


def least_cost(candidates: list[VariantProfile]) -> VariantProfile:
    """The candidate of least cost; of equal ones the first."""
    return min(candidates, key=_cost)


def _cost(candidate: VariantProfile) -> float:
    return candidate.cost
