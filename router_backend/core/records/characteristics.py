"""The properties of a model that determine where it should run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from router_backend.errors import require


class Quantization(str, Enum):
    """How a model's numbers are stored or computed below 32 bits."""

    QDQ = "qdq"
    QLINEAR = "qlinear"
    INTEGER = "integer"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8_WEIGHTS = "int8_weights"
    INT4_WEIGHTS = "int4_weights"


@dataclass(frozen=True, slots=True)
class ModelCharacteristics:
    """Properties of one model file. Work and activations are those of one item, a batch of 1.

    Args:
        model_name: the model.
        parameter_count: number of weights.
        parameter_bytes: size of the weights in the file, with scales and zero points; 0 if unknown.
        macs: multiply-accumulates per item of convolutions, matrix products and recurrent cells; `None` if a
            shape is unknown.
        activation_bytes: size of all intermediate tensors of one item; `None` if unknown.
        operators: number of occurrences of each operator in the graph and its subgraphs.
        dynamic_dimensions: dynamic dimensions other than the batch, such as `input[2]`.
        spatial_dimensions: along how many its convolutions and pools work: 2 for images, 3 for volumes; 0 if
            it has none or that is unknown.
        control_flow: the operators among If, Loop and Scan that it uses.
        quantization: formats of reduced precision; empty for 32-bit floating point.
        opset: version of the standard operators; 0 if unknown.
        supports_gpu: overrides the analysis; `None` if not stated.
        supports_neural_engine: the same.
        supports_mps: the same.
    """

    model_name: str
    parameter_count: int = 0
    parameter_bytes: int = 0
    macs: int | None = None
    activation_bytes: int | None = None
    operators: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    dynamic_dimensions: tuple[str, ...] = ()
    spatial_dimensions: int = 0
    control_flow: tuple[str, ...] = ()
    quantization: frozenset[Quantization] = frozenset()
    opset: int = 0
    supports_gpu: bool | None = None
    supports_neural_engine: bool | None = None
    supports_mps: bool | None = None

    def __post_init__(self) -> None:
        """Reject invalid counts.

        Raises:
            ConfigurationError: one is negative or not a number.
        """
        for name in ("parameter_count", "parameter_bytes", "macs", "activation_bytes"):
            value = getattr(self, name)
            valid = value is None or 0 <= value < math.inf
            where, fix = f"model '{self.model_name}'", "leave it out where it is not known"
            require(valid, name, "a number of 0 or more", value, where=where, fix=fix)

    @property
    def flops(self) -> int | None:
        """Floating-point operations per item: two for each multiply-accumulate."""
        return None if self.macs is None else 2 * self.macs

    @property
    def arithmetic_intensity(self) -> float | None:
        """Operations per byte of weights and activations, for one item."""
        if self.flops is None or self.activation_bytes is None:
            return None
        moved_bytes = self.parameter_bytes + self.activation_bytes
        return self.flops / moved_bytes if moved_bytes else None
