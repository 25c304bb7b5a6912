"""The supported execution providers of ONNX Runtime: their devices, options and origin."""

from collections.abc import Mapping
from dataclasses import dataclass

from router_backend.core.records.variant import Device

_FLAG = frozenset({"0", "1"})
_ANY = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider.

    Args:
        name: its name in ONNX Runtime.
        devices: the devices that it runs on.
        options: its option names (https://onnxruntime.ai/docs/execution-providers/), each with the values
            that it accepts; an empty set if ONNX Runtime checks the value.
        origin: how to get an onnxruntime that has it, as the end of an error message.
    """

    name: str
    devices: frozenset[Device]
    options: Mapping[str, frozenset[str]]
    origin: str


CPU = Provider(
    name="CPUExecutionProvider",
    devices=frozenset({Device.CPU}),
    options={},
    origin="install the package onnxruntime",
)

CUDA = Provider(
    name="CUDAExecutionProvider",
    devices=frozenset({Device.GPU}),
    options={
        "arena_extend_strategy": frozenset({"kNextPowerOfTwo", "kSameAsRequested"}),
        "cudnn_conv_algo_search": frozenset({"EXHAUSTIVE", "HEURISTIC", "DEFAULT"}),
        "cudnn_conv_use_max_workspace": _FLAG,
        "device_id": _ANY,
        "do_copy_in_default_stream": _FLAG,
        "gpu_mem_limit": _ANY,
        "prefer_nhwc": _FLAG,
        "use_tf32": _FLAG,
    },
    origin="on a machine with an NVIDIA GPU, install onnxruntime-gpu[cuda,cudnn] instead of onnxruntime",
)

# CoreML's value CPUOnly is intentionally left out: a variant of an accelerator never runs on the CPU alone.
CORE_ML = Provider(
    name="CoreMLExecutionProvider",
    devices=frozenset({Device.NEURAL_ENGINE, Device.MPS}),
    options={
        "AllowLowPrecisionAccumulationOnGPU": _FLAG,
        "EnableOnSubgraphs": _FLAG,
        "MLComputeUnits": frozenset({"CPUAndNeuralEngine", "CPUAndGPU", "ALL"}),
        "ModelCacheDirectory": _ANY,
        "ModelFormat": frozenset({"MLProgram", "NeuralNetwork"}),
        "RequireStaticInputShapes": _FLAG,
        "SpecializationStrategy": frozenset({"Default", "FastPrediction"}),
    },
    origin="only onnxruntime for macOS has it, so run this model on a Mac and forward to it from here",
)

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in (CPU, CUDA, CORE_ML)}

# The compute units that are rejected for a device, because the model would run on another one.
FOREIGN_COMPUTE_UNITS: Mapping[Device, str] = {
    Device.NEURAL_ENGINE: "CPUAndGPU",
    Device.MPS: "CPUAndNeuralEngine",
}
