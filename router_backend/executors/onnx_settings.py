"""The `parameters` of a variant's config.pbtxt, parsed and validated."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from router_backend.config.settings import KEYS_OF_TRITON
from router_backend.config.stated_characteristics import STATED
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError, nearest
from router_backend.executors.providers import CPU, FOREIGN_COMPUTE_UNITS, PROVIDERS, Provider

OPTION_PREFIX = "provider_option."
_KEYS = ("device", "execution_provider", "onnx_file", "intra_op_threads", "allow_cpu_nodes")


@dataclass(frozen=True, slots=True)
class OnnxSettings:
    """How to run one ONNX file.

    Args:
        provider: the execution provider that must run the model.
        provider_options: its options, as ONNX Runtime takes them.
        onnx_file: file name inside the model's version folder.
        intra_op_threads: threads of one inference on the CPU; 0 leaves it to ONNX Runtime (all cores).
        allow_cpu_nodes: whether the CPU may run the nodes that the provider has no kernel for.
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

    Args:
        parameters: key and string value of each entry of `parameters` in config.pbtxt.
        gpu_index: the GPU to run on where the provider has a choice and its options leave it open.

    Raises:
        ConfigurationError: an unknown key, a bad value, or a device that the provider does not reach.
    """
    others = KEYS_OF_TRITON | STATED
    values = {key: value for key, value in parameters.items() if key not in others}
    for key in values:
        if not key.startswith(OPTION_PREFIX):
            _check_known(key, key, (*_KEYS, f"{OPTION_PREFIX}<name>"))
    provider = _provider(values)
    options = _provider_options(values, provider)
    if gpu_index is not None and "device_id" in provider.options:
        options.setdefault("device_id", gpu_index)
    _check_device(values, provider, options)
    return OnnxSettings(
        provider=provider,
        provider_options=options,
        onnx_file=_file_name(values.get("onnx_file", "model.onnx")),
        intra_op_threads=_thread_count(values.get("intra_op_threads")),
        allow_cpu_nodes=_flag("allow_cpu_nodes", values),
    )


def _provider(values: Mapping[str, str]) -> Provider:
    if "execution_provider" not in values:
        raise ConfigurationError(
            f"config.pbtxt: the parameter 'execution_provider' is missing: add one of {', '.join(PROVIDERS)}"
        )
    return PROVIDERS[_choice("execution_provider", values["execution_provider"], PROVIDERS)]


def _provider_options(values: Mapping[str, str], provider: Provider) -> dict[str, str]:
    options = {}
    for key, value in values.items():
        if key.startswith(OPTION_PREFIX):
            name = key.removeprefix(OPTION_PREFIX)
            _check_known(key, name, provider.options, of=f" of {provider.name}")
            allowed = provider.options[name]
            options[name] = _choice(key, value, allowed) if allowed else value
    return options


def _check_device(values: Mapping[str, str], provider: Provider, options: Mapping[str, str]) -> None:
    """The router believes `device`: a provider that runs elsewhere would mislead it."""
    if "device" not in values:
        return
    device = Device(_choice("device", values["device"], [each.value for each in Device]))
    if device not in provider.devices:
        reached = " or ".join(sorted(each.value for each in provider.devices))
        raise _error("device", f"expected {reached}, where {provider.name} runs, found '{device.value}'")
    units = options.get("MLComputeUnits")
    if units is not None and units == FOREIGN_COMPUTE_UNITS.get(device):
        raise _error(
            f"{OPTION_PREFIX}MLComputeUnits",
            f"expected one that includes the parameter 'device', {device.value}, found '{units}'",
        )


def _file_name(value: str) -> str:
    if not value or PurePath(value).name != value:
        raise _error("onnx_file", f"expected the name of a file in the version folder, found '{value}'")
    return value


def _thread_count(value: str | None) -> int:
    if value is None:
        return 0
    if not (value.isascii() and value.isdigit()) or int(value) == 0:
        raise _error(
            "intra_op_threads",
            f"expected a whole number, at least 1, found '{value}': leave it out to use all cores",
        )
    return int(value)


def _flag(key: str, values: Mapping[str, str]) -> bool:
    return _choice(key, values.get(key, "false"), ("true", "false")) == "true"


def _choice(key: str, value: str, allowed: Collection[str]) -> str:
    if value not in allowed:
        raise _error(key, f"expected {_listed(allowed)}, found '{value}'{nearest(value, list(allowed))}")
    return value


def _check_known(key: str, name: str, known: Collection[str], of: str = "") -> None:
    if name not in known:
        raise ConfigurationError(
            f"config.pbtxt: unknown parameter '{key}'{nearest(name, list(known))}: "
            f"expected {_listed(known)}{of}"
        )


def _listed(names: Collection[str]) -> str:
    return f"one of {', '.join(sorted(names))}" if names else "no option"


def _error(key: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"config.pbtxt, parameter '{key}': {what}")
