"""The energy that a request is expected to consume."""

from collections.abc import Mapping
from types import MappingProxyType

from router_backend.core.records.variant import Device
from router_backend.core.variants.candidate import Candidate

NOMINAL_POWER_W: Mapping[Device, float] = MappingProxyType(
    {Device.CPU: 65.0, Device.GPU: 70.0, Device.NEURAL_ENGINE: 8.0, Device.MPS: 20.0}
)
"""Assumed if nothing was measured or stated: the design power of a desktop processor and of an NVIDIA T4, and
the magnitude that powermetrics shows for Apple's Neural Engine and GPU."""


def energy_mj(candidate: Candidate) -> float:
    """Return the energy of the request being routed, power times service time, in mJ."""
    power_w = candidate.power_w or NOMINAL_POWER_W[candidate.variant.device]
    return power_w * candidate.service_ms
