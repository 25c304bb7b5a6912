"""A variant: one Triton model that can serve a logical model, and the device it runs on."""

from dataclasses import dataclass
from enum import Enum

from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.suitability import UNKNOWN, Suitability
from router_backend.errors import require


class Device(str, Enum):
    """The kind of hardware behind a variant (the specification says backend)."""

    CPU = "cpu"
    GPU = "gpu"
    NEURAL_ENGINE = "neural_engine"
    MPS = "mps"


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
