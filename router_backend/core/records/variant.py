"""A variant: one Triton model that can serve a logical model, and the device it runs on."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.suitability import UNKNOWN, Suitability
from router_backend.errors import require


class Device(str, Enum):
    """The kind of hardware behind a variant (the specification says backend)."""

    CPU = "cpu"
    GPU = "gpu"
    NEURAL_ENGINE = "neural_engine"
    MPS = "mps"


NOMINAL_POWER_W: Mapping[Device, float] = MappingProxyType(
    {Device.CPU: 65.0, Device.GPU: 70.0, Device.NEURAL_ENGINE: 8.0, Device.MPS: 20.0}
)
"""Assumed if nothing was measured or stated: the design power of a desktop processor and of an NVIDIA T4, and
the magnitude that powermetrics shows for Apple's Neural Engine and GPU."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to serve a logical model.

    Args:
        name: the Triton model that requests are forwarded to.
        device: the hardware it runs on.
        concurrency: how many requests it serves at once (its instances).
        max_batch_size: the largest batch it takes; 0 if its first dimension is not a batch.
        characteristics: properties of its model; `None` if unknown or the same as the logical model's.
        suitability: what is assumed before it has served a request; by default, what its characteristics say.
    """

    name: str
    device: Device
    concurrency: int = 1
    max_batch_size: int = 0
    characteristics: ModelCharacteristics | None = None
    suitability: Suitability = UNKNOWN

    def __post_init__(self) -> None:
        """Reject invalid counts.

        Raises:
            ConfigurationError: concurrency below 1 or a negative batch size.
        """
        where, largest = f"variant '{self.name}'", self.max_batch_size
        require(self.concurrency >= 1, "concurrency", "at least 1", self.concurrency, where=where)
        require(largest >= 0, "max_batch_size", "0 (no batching) or more", largest, where=where)

    @property
    def assumed_power_w(self) -> float:
        """A request's share of the power that its device draws under load, until it is measured."""
        return (self.suitability.power_w or NOMINAL_POWER_W[self.device]) / self.concurrency
