"""The router's own parameters in its config.pbtxt: strings in, typed settings out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from router_backend.config.routing_config import PolicyChoice, RoutingConfig, RoutingSettings
from router_backend.config.settings import one_of, read_settings, setting
from router_backend.core.policies.registry import NO_PARAMETERS
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class VariantEntry:
    """One entry of the parameter `variants`: `name`, or `name=device` where nothing else tells the device."""

    name: str
    device: Device | None


MOST_THREADS = 10_000
MOST_IN_FLIGHT = 1_000_000
DAY_MS = 24 * 60 * 60 * 1000
SWITCH = {"true": True, "false": False}
_device = one_of(Device)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _up_to(most: int, default: int) -> Any:
    """A whole number within bounds: one far beyond any use is a mistake, and the system has limits, too."""

    def read(text: str) -> int:
        value = _count(text)
        if value > most:
            raise ValueError(text)
        return value

    return setting(read, f"a whole number from 1 to {most}", default=default)


def _counts(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(_count(part.strip()) for part in text.split(","))


def _switch(text: str) -> bool:
    if text not in SWITCH:
        raise ValueError(text)
    return SWITCH[text]


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0.0 < value < math.inf:
        raise ValueError(text)
    return value


def _pairs(text: str) -> dict[str, str]:
    pairs = {}
    for part in text.split(","):
        name, _, value = (each.strip() for each in part.partition("="))
        if not name or not value or name in pairs:
            raise ValueError(text)
        pairs[name] = value
    return pairs


def _weights(text: str) -> dict[Device, float]:
    return {_device(device): _above_zero(weight) for device, weight in _pairs(text).items()}


def _devices(text: str) -> tuple[Device, ...]:
    return tuple(_device(part.strip()) for part in text.split(","))


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
        entries.append(VariantEntry(name, _device(device) if separator else None))
    return tuple(entries)


DEFAULTS = ModelSettings()
DEVICES = ", ".join(device.value for device in Device)
GOALS = ", ".join(goal.value for goal in OptimizationGoal)
NO_WEIGHTS: Mapping[Device, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterParameters:
    """What a router model's config.pbtxt says in its `parameters`.

    Args:
        variants: the models that can serve a request, in the order of the parameter.
        policy: the name of the policy that chooses; None: what the goal or the routing configuration says.
        policy_parameters: the policy's own settings; None: it has none.
        goal: what the choice is to be good at, instead of a policy; None: nothing is said of it.
        preferred_backends: variants on other devices are chosen only where these cost twice as much.
        backend_weights: how much the variants on a device are preferred, before what the file says.
        max_latency_ms: the deadline of requests that name none; None: what the file says, if it does.
        refuse_late: whether a request that no variant can answer in time is refused at once; None: what the
            file says, if it does.
        routing_config: the file with the routing configuration, from the model's folder; None: there is none.
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
    policy: str | None = setting(str, "the name of a policy", default=None)
    policy_parameters: Mapping[str, str] | None = setting(
        _pairs, "name=value with commas between, each name once", default=None
    )
    goal: OptimizationGoal | None = setting(one_of(OptimizationGoal), f"one of {GOALS}", default=None)
    preferred_backends: tuple[Device, ...] | None = setting(
        _devices, f"devices with commas between ({DEVICES})", default=None
    )
    backend_weights: Mapping[Device, float] | None = setting(
        _weights,
        f"device=weight with commas between (device: {DEVICES}; weight: a number above 0)",
        default=None,
    )
    max_latency_ms: float | None = setting(_above_zero, "a number above 0", default=None)
    refuse_late: bool | None = setting(_switch, "true or false", default=None)
    routing_config: Path | None = setting(_path, "the path of a file", default=None)
    coverage: float = setting(float, "a number between 0 and 1", default=DEFAULTS.coverage)
    worker_threads: int = _up_to(MOST_THREADS, default=32)
    max_in_flight: int = _up_to(MOST_IN_FLIGHT, default=1024)
    readiness_interval_ms: int = _up_to(DAY_MS, default=500)
    warmup_batch_sizes: tuple[int, ...] = setting(
        _counts, "whole numbers with commas between, or none", default=(1, 1, 8, 8)
    )
    trace_file: Path | None = setting(_path, "the path of a file", default=None)
    metrics: bool = setting(_switch, "true or false", default=True)
    metrics_interval_ms: int = _up_to(DAY_MS, default=1000)

    def decision(self, model_name: str, routing: RoutingConfig) -> ModelSettings:
        """The settings of the deciding part.

        Args:
            model_name: the router model.
            routing: what holds where the parameters say nothing.

        Raises:
            ConfigurationError: they do not go together.
        """
        return replace(routing.router_config(model_name, self.own), coverage=self.coverage)

    @property
    def own(self) -> RoutingSettings:
        """What it says of its requests itself.

        Raises:
            ConfigurationError: it does not go together.
        """
        if self.policy is None and self.policy_parameters is not None:
            raise ConfigurationError(
                "policy_parameters: expected the parameter 'policy' beside it, found none: name the policy"
            )
        parameters = self.policy_parameters or NO_PARAMETERS
        return RoutingSettings(
            policy=None if self.policy is None else PolicyChoice(self.policy, parameters),
            goal=self.goal,
            preferred_devices=self.preferred_backends,
            max_latency_ms=self.max_latency_ms,
            refuse_late=self.refuse_late,
            device_weights=self.backend_weights or NO_WEIGHTS,
        )


def read_parameters(model_name: str, parameters: Mapping[str, str]) -> RouterParameters:
    """Validate the parameters of a router model.

    Raises:
        ConfigurationError: an unknown or missing parameter, or a value that cannot be read.
    """
    where = f"model '{model_name}', config.pbtxt"
    settings = read_settings(RouterParameters, where, parameters)
    try:
        settings.decision(model_name, RoutingConfig())
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}, parameter {error}") from None
    return settings
