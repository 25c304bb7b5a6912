"""Published performance figures of one typical device of each kind.

They are only used for priors: once a variant has served requests, the router uses its measurements instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from router_backend.core.records.variant import Device


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """Peak performance of one device.

    Args:
        source: the device, and the source of its figures.
        fp32_flops: 32-bit floating-point operations per second.
        fp16_flops: 16-bit floating-point operations per second.
        int8_ops: 8-bit integer operations per second.
        memory_bytes_per_s: memory bandwidth.
        overhead_ms: fixed overhead of each call.
        power_w: power drawn under load.
    """

    source: str
    fp32_flops: float
    fp16_flops: float
    int8_ops: float
    memory_bytes_per_s: float
    overhead_ms: float
    power_w: float


FIGURES: Mapping[Device, DeviceFigures] = MappingProxyType(
    {
        Device.CPU: DeviceFigures(
            "assumed: eight cores at 3 GHz with 256-bit fused multiply-add, two channels of DDR4-2666, 65 W",
            fp32_flops=0.77e12,
            fp16_flops=0.77e12,
            int8_ops=1.5e12,
            memory_bytes_per_s=42e9,
            overhead_ms=0.1,
            power_w=65.0,
        ),
        Device.GPU: DeviceFigures(
            "NVIDIA T4, data sheet: 8.1 TFLOPS, 65 in half precision, 130 TOPS, 320 GB/s, 70 W",
            fp32_flops=8.1e12,
            fp16_flops=65e12,
            int8_ops=130e12,
            memory_bytes_per_s=320e9,
            overhead_ms=1.0,
            power_w=70.0,
        ),
        Device.NEURAL_ENGINE: DeviceFigures(
            "Apple M1: 11 TOPS and 68 GB/s as published; it computes in half precision; the power is assumed",
            fp32_flops=11e12,
            fp16_flops=11e12,
            int8_ops=11e12,
            memory_bytes_per_s=68e9,
            overhead_ms=0.5,
            power_w=8.0,
        ),
        Device.MPS: DeviceFigures(
            "Apple M1, eight GPU cores: 2.6 TFLOPS and 68 GB/s as published; the power is assumed",
            fp32_flops=2.6e12,
            fp16_flops=2.6e12,
            int8_ops=2.6e12,
            memory_bytes_per_s=68e9,
            overhead_ms=2.0,
            power_w=20.0,
        ),
    }
)
