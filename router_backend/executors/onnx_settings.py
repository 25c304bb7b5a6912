"""The `parameters` of an ONNX variant's config.pbtxt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from router_backend.config.schema import Count, Text
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError, Problems, nearest
from router_backend.executors.parameters import Parameters
from router_backend.executors.providers import CPU, FOREIGN_COMPUTE_UNITS, PROVIDERS, Provider
from router_backend.typed_load import Section, load_texts

OPTION_PREFIX = "provider_option."
WHERE = "config.pbtxt"

Threads = Annotated[Count, Meta(extra={"fix": "leave it out to use all cores"})]
FileName = Annotated[Text, Meta(extra={"expected": "the name of a file in the version folder"})]


class OnnxParameters(Section, frozen=True, kw_only=True):
    """What an ONNX variant's config.pbtxt says in its `parameters`, beside the options of the provider.

    Args:
        execution_provider: the execution provider that must run the model.
        device: where that is, for the router; without it the instance group says so.
        onnx_file: the file in the model's version folder.
        intra_op_threads: threads of one inference on the CPU; without it all cores.
        allow_cpu_nodes: the CPU may run the nodes that the provider has no kernel for.

    Raises:
        ConfigurationError: a file elsewhere, or a device that the provider does not run on.
    """

    execution_provider: Literal["CPUExecutionProvider", "CUDAExecutionProvider", "CoreMLExecutionProvider"]
    device: Device | UnsetType = UNSET
    onnx_file: FileName = "model.onnx"
    intra_op_threads: Threads | UnsetType = UNSET
    allow_cpu_nodes: bool = False

    def __post_init__(self) -> None:
        """Reject what does not go together; the router relies on `device`."""
        if PurePath(self.onnx_file).name != self.onnx_file:
            expected = "the name of a file in the version folder"
            raise ConfigurationError(path="onnx_file", expected=expected, found=f"'{self.onnx_file}'")
        if self.device is not UNSET and self.device not in self.provider.devices:
            reached = " or ".join(sorted(each.value for each in self.provider.devices))
            expected = f"{reached}, where {self.provider.name} runs"
            raise ConfigurationError(path="device", expected=expected, found=f"'{self.device.value}'")

    @property
    def provider(self) -> Provider:
        """The execution provider."""
        return PROVIDERS[self.execution_provider]


@dataclass(frozen=True, slots=True)
class OnnxSettings:
    """How to run one ONNX file: its `OnnxParameters`, and the provider's options as ONNX Runtime takes them.

    With `intra_op_threads` of 0, ONNX Runtime uses all cores.
    """

    provider: Provider
    provider_options: Mapping[str, str]
    onnx_file: str = "model.onnx"
    intra_op_threads: int = 0
    allow_cpu_nodes: bool = False

    @property
    def cpu_may_run_nodes(self) -> bool:
        """Whether any part of the model may run on the CPU."""
        return self.provider == CPU or self.allow_cpu_nodes


def parse_settings(parameters: Mapping[str, str], gpu_index: str | None = None) -> OnnxSettings:
    """Read a model's parameters, e.g. `{"device": "cpu", "execution_provider": "CPUExecutionProvider"}`.

    `gpu_index` is the GPU to run on where the provider has a choice and its options do not say it.

    Raises:
        ConfigurationError: everything that is wrong with them.
    """
    own, options = Parameters.split(parameters, OPTION_PREFIX)
    said = load_texts(OnnxParameters, own, WHERE)
    _check_options(said, options)
    if gpu_index is not None and "device_id" in said.provider.options:
        options.setdefault("device_id", gpu_index)
    return OnnxSettings(
        said.provider, options, said.onnx_file, said.intra_op_threads or 0, said.allow_cpu_nodes
    )


def _check_options(said: OnnxParameters, options: Mapping[str, str]) -> None:
    problems = Problems()
    for name, value in options.items():
        with problems.collect(WHERE, f"{OPTION_PREFIX}{name}"):
            _check_option(said, name, value)
    problems.raise_if_any()


def _check_option(said: OnnxParameters, name: str, value: str) -> None:
    known = said.provider.options
    if name not in known:
        names = f"one of the options {', '.join(sorted(known))}" if known else "no option"
        raise ConfigurationError(
            expected=f"{names} of {said.provider.name}", found=f"'{name}'", hint=nearest(name, known)
        )
    if known[name] and value not in known[name]:
        expected = f"one of {', '.join(sorted(known[name]))}"
        raise ConfigurationError(expected=expected, found=f"'{value}'", hint=nearest(value, known[name]))
    foreign = FOREIGN_COMPUTE_UNITS.get(said.device) if isinstance(said.device, Device) else None
    if name == "MLComputeUnits" and value == foreign:
        expected = f"units that include the parameter 'device', {said.device.value}"
        raise ConfigurationError(expected=expected, found=f"'{value}'")
