"""The router's own parameters in its config.pbtxt: strings in, typed settings out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from router_backend.config.settings import read_settings, setting
from router_backend.core.router_config import RouterConfig
from router_backend.core.variant import Device
from router_backend.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class VariantEntry:
    """One entry of the parameter `variants`: `name`, or `name=device` where nothing else tells the device."""

    name: str
    device: Device | None


SWITCH = {"true": True, "false": False}


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _counts(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(_count(part.strip()) for part in text.split(","))


def _switch(text: str) -> bool:
    if text not in SWITCH:
        raise ValueError(text)
    return SWITCH[text]


def _path(text: str) -> Path:
    if not text:
        raise ValueError(text)
    return Path(text)


def _entries(text: str) -> tuple[VariantEntry, ...]:
    entries = []
    for part in text.split(","):
        name, separator, device = part.strip().partition("=")
        if not name:
            raise ValueError(text)
        entries.append(VariantEntry(name, Device(device) if separator else None))
    return tuple(entries)


DEFAULTS = RouterConfig()
DEVICES = ", ".join(device.value for device in Device)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterParameters:
    """What a router model's config.pbtxt says in its `parameters`.

    Args:
        variants: the models that can serve a request, in the order of the parameter.
        policy: the name of the policy that chooses.
        coverage: the share of latencies that a prediction interval is to hold.
        worker_threads: how many requests are forwarded at a time; the server has a limit of its own for
            that, --backend-config=python,thread-pool-size, 32 unless it is raised: raise both.
        max_in_flight: how many requests may be inside the router, waiting for a thread included.
        readiness_interval_ms: how often the variants' readiness is looked up.
        warmup_batch_sizes: the batches that a variant is timed with when it becomes ready.
        trace_file: the file to which every answered request is appended; None: none is.
        metrics: whether the router's metrics are shown in Triton's metrics endpoint.
        metrics_interval_ms: how often they are brought up to date there.
    """

    variants: tuple[VariantEntry, ...] = setting(
        _entries, f"model names with commas between, each as name or name=device (device: {DEVICES})"
    )
    policy: str = setting(str, "the name of a policy", default=DEFAULTS.policy)
    coverage: float = setting(float, "a number between 0 and 1", default=DEFAULTS.coverage)
    worker_threads: int = setting(_count, "a whole number, at least 1", default=32)
    max_in_flight: int = setting(_count, "a whole number, at least 1", default=1024)
    readiness_interval_ms: int = setting(_count, "a whole number, at least 1", default=500)
    warmup_batch_sizes: tuple[int, ...] = setting(
        _counts, "whole numbers with commas between, or none", default=(1, 1, 8, 8)
    )
    trace_file: Path | None = setting(_path, "the path of a file", default=None)
    metrics: bool = setting(_switch, "true or false", default=True)
    metrics_interval_ms: int = setting(_count, "a whole number, at least 1", default=1000)

    @property
    def decision(self) -> RouterConfig:
        """The settings of the deciding part."""
        return RouterConfig(policy=self.policy, coverage=self.coverage)


def read_parameters(model_name: str, parameters: Mapping[str, str]) -> RouterParameters:
    """Validate the parameters of a router model.

    Raises:
        ConfigurationError: an unknown or missing parameter, or a value that cannot be read.
    """
    where = f"model '{model_name}', config.pbtxt"
    settings = read_settings(RouterParameters, where, parameters)
    try:
        _ = settings.decision
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}, parameter {error}") from None
    return settings
