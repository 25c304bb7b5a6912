"""Characteristics x device -> `Suitability`: whether it can run there, and what to expect until it has."""

from router_backend.analysis.coreml_operators import lacking
from router_backend.analysis.devices import FIGURES, DeviceFigures
from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device

EFFICIENCY = 0.35
"""The share of a device's best that convolutional and attention networks reach; assumed."""
COREML = frozenset({Device.NEURAL_ENGINE, Device.MPS})
SHOWN = 3
INT8 = frozenset({Quantization.QDQ, Quantization.QLINEAR, Quantization.INTEGER})
HALF = frozenset({Quantization.FP16, Quantization.BF16})


def fit(model: ModelCharacteristics, device: Device, memory_mb: float | None = None) -> Suitability:
    """What is known of a model on a device before it has served there.

    The prior of the service time is a roofline: each item takes what its operations or its activations take,
    whichever is longer, and every request what reading the weights takes; all at a share of the device's
    published best, plus what a call takes. It is right within a factor of a few, no more.

    Args:
        model: what it is made of.
        device: where it is to run.
        memory_mb: what the device has of memory; None: not known.

    References:
        Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52 (2009).
    """
    figures = FIGURES[device]
    moved_bytes = model.parameter_bytes + (model.activation_bytes or 0)
    needed_mb = moved_bytes / 1e6 or None
    fixed_ms, per_item_ms = _prior_ms(model, figures)
    return Suitability(
        reason_out=_reason_out(model, device, needed_mb, memory_mb),
        fixed_ms=fixed_ms,
        per_item_ms=per_item_ms,
        memory_mb=needed_mb,
        power_w=figures.power_w,
    )


def _prior_ms(model: ModelCharacteristics, figures: DeviceFigures) -> tuple[float | None, float | None]:
    if not model.flops:
        return None, None
    computing_s = model.flops / _speed(model, figures)
    moving_s = (model.activation_bytes or 0) / figures.memory_bytes_per_s
    reading_s = model.parameter_bytes / figures.memory_bytes_per_s
    fixed_ms = figures.overhead_ms + reading_s / EFFICIENCY * 1e3
    return fixed_ms, max(computing_s, moving_s) / EFFICIENCY * 1e3


def _speed(model: ModelCharacteristics, figures: DeviceFigures) -> float:
    if model.quantization & INT8:
        return figures.int8_ops
    return figures.fp16_flops if model.quantization & HALF else figures.fp32_flops


def _reason_out(
    model: ModelCharacteristics, device: Device, needed_mb: float | None, memory_mb: float | None
) -> str | None:
    if needed_mb is not None and memory_mb is not None and needed_mb > memory_mb:
        return f"the model needs {needed_mb:.0f} MB, {device.value} has {memory_mb:.0f} MB"
    if device not in COREML or _is_stated(model, device):
        return None
    if model.control_flow:
        return f"the model uses {', '.join(model.control_flow)}, which {device.value} cannot run"
    missing = lacking(frozenset(model.operators))
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        return f"the model uses {', '.join(missing[:SHOWN])}{more}, which {device.value} cannot run"
    if Quantization.BF16 in model.quantization:
        return f"the model's numbers are bf16, which {device.value} cannot run"
    if device is Device.NEURAL_ENGINE and model.dynamic_dimensions:
        return f"the model's {', '.join(model.dynamic_dimensions)} is open, {device.value} wants fixed shapes"
    return None


def _is_stated(model: ModelCharacteristics, device: Device) -> bool:
    """Whether someone who knows better says that it runs there."""
    return bool(model.supports_neural_engine if device is Device.NEURAL_ENGINE else model.supports_mps)
