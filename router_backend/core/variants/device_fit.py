"""Suitability of a model for a device: whether it can run there, and priors of its cost."""

from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device
from router_backend.core.variants.coreml_operators import MAX_SPATIAL_DIMENSIONS, unsupported
from router_backend.core.variants.devices import FIGURES, DeviceFigures

EFFICIENCY = 0.35
"""Assumed fraction of a device's peak performance that convolutional and attention networks reach."""
COREML = frozenset({Device.NEURAL_ENGINE, Device.MPS})
MAX_LISTED_OPERATORS = 3
INT8 = frozenset({Quantization.QDQ, Quantization.QLINEAR, Quantization.INTEGER})
HALF = frozenset({Quantization.FP16, Quantization.BF16})
BITS = ((4, frozenset({Quantization.INT4_WEIGHTS})), (8, INT8 | {Quantization.INT8_WEIGHTS}), (16, HALF))
"""Bits per weight by quantization, the smallest first; 32 without any."""


def fit(model: ModelCharacteristics, device: Device, memory_mb: float | None = None) -> Suitability:
    """Return whether a model can run on a device, with priors from published figures.

    The prior of the service time is a roofline model. Per item, it is the longer of the times for its
    operations and for moving its activations; per request, the time for reading the weights, plus the
    overhead of a call; all at a fraction of the device's published peak. It is a rough estimate. Where the
    work is unknown, it is that of one use of each weight, which is a lower bound for all but embeddings.

    `memory_mb` is the memory of the device; `None` if unknown.

    References:
        Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52 (2009).
    """
    figures = FIGURES[device]
    needed_mb = (_weight_bytes(model) + (model.activation_bytes or 0)) / 1e6 or None
    fixed_ms, per_item_ms = _prior_ms(model, figures)
    return Suitability(
        reason_out=_unsuitability(model, device, needed_mb, memory_mb),
        fixed_ms=fixed_ms,
        per_item_ms=per_item_ms,
        memory_mb=needed_mb,
        power_w=figures.power_w,
    )


def _prior_ms(model: ModelCharacteristics, figures: DeviceFigures) -> tuple[float | None, float | None]:
    """Return the fixed and the per-item service time in ms; `None` if the work is unknown."""
    flops = 2 * model.parameter_count if model.flops is None else model.flops
    if not flops:
        return None, None
    computing_s = flops / _speed(model, figures)
    moving_s = (model.activation_bytes or 0) / figures.memory_bytes_per_s
    reading_s = _weight_bytes(model) / figures.memory_bytes_per_s
    fixed_ms = figures.overhead_ms + reading_s / EFFICIENCY * 1e3
    return fixed_ms, max(computing_s, moving_s) / EFFICIENCY * 1e3


def _weight_bytes(model: ModelCharacteristics) -> float:
    """Return the size of the weights; if only their number is known, by the quantization."""
    bits = next((bits for bits, kinds in BITS if model.quantization & kinds), 32)
    return model.parameter_bytes or model.parameter_count * bits / 8


def _speed(model: ModelCharacteristics, figures: DeviceFigures) -> float:
    if model.quantization & INT8:
        return figures.int8_ops
    return figures.fp16_flops if model.quantization & HALF else figures.fp32_flops


def _unsuitability(
    model: ModelCharacteristics, device: Device, needed_mb: float | None, memory_mb: float | None
) -> str | None:
    """Return why the model cannot run on the device; `None` if it can."""
    if needed_mb is not None and memory_mb is not None and needed_mb > memory_mb:
        return f"the model needs {needed_mb:.0f} MB, {device.value} has {memory_mb:.0f} MB"
    if device not in COREML or _is_declared_supported(model, device):
        return None
    if model.control_flow:
        return f"the model uses {', '.join(model.control_flow)}, which {device.value} cannot run"
    missing = unsupported(frozenset(model.operators))
    if missing:
        listed = ", ".join(missing[:MAX_LISTED_OPERATORS])
        rest = len(missing) - MAX_LISTED_OPERATORS
        more = f" and {rest} more" if rest > 0 else ""
        return f"the model uses {listed}{more}, which {device.value} cannot run"
    if model.spatial_dimensions > MAX_SPATIAL_DIMENSIONS:
        return f"the model's layers have {model.spatial_dimensions} dimensions, {device.value} can run 2"
    if Quantization.BF16 in model.quantization:
        return f"the model's numbers are bf16, which {device.value} cannot run"
    if device is Device.NEURAL_ENGINE and model.dynamic_dimensions:
        return (
            f"the model's {', '.join(model.dynamic_dimensions)} is dynamic, {device.value} needs fixed ones"
        )
    return None


def _is_declared_supported(model: ModelCharacteristics, device: Device) -> bool:
    """Return whether the characteristics declare that the model runs on the device."""
    return bool(model.supports_neural_engine if device is Device.NEURAL_ENGINE else model.supports_mps)
