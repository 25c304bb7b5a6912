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
        fp32_flops: 32-bit floating-point operations per second.
        fp16_flops: 16-bit floating-point operations per second.
        int8_ops: 8-bit integer operations per second.
        memory_bytes_per_s: memory bandwidth.
        overhead_ms: fixed overhead of each call.
        power_w: power drawn under load.
    """

    fp32_flops: float
    fp16_flops: float
    int8_ops: float
    memory_bytes_per_s: float
    overhead_ms: float
    power_w: float


FIGURES: Mapping[Device, DeviceFigures] = MappingProxyType(
    {
        # Assumed: eight cores at 3 GHz with 256-bit fused multiply-add, two channels of DDR4-2666, 65 W.
        Device.CPU: DeviceFigures(0.77e12, 0.77e12, 1.5e12, 42e9, overhead_ms=0.1, power_w=65.0),
        # NVIDIA T4, data sheet: 8.1 TFLOPS, 65 in half precision, 130 TOPS, 320 GB/s, 70 W.
        Device.GPU: DeviceFigures(8.1e12, 65e12, 130e12, 320e9, overhead_ms=1.0, power_w=70.0),
        # Apple M1: 11 TOPS and 68 GB/s as published; it computes in half precision; the power is assumed.
        Device.NEURAL_ENGINE: DeviceFigures(11e12, 11e12, 11e12, 68e9, overhead_ms=0.5, power_w=8.0),
        # Apple M1, eight GPU cores: 2.6 TFLOPS and 68 GB/s as published; the power is assumed.
        Device.MPS: DeviceFigures(2.6e12, 2.6e12, 2.6e12, 68e9, overhead_ms=2.0, power_w=20.0),
    }
)
