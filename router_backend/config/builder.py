"""Makes a routing configuration in Python, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from router_backend.config.routing_config import PolicyChoice, RoutingConfig, RoutingRule, RoutingSettings
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.policies.registry import NO_PARAMETERS
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import ConfigurationError, nearest


class ModelRouterConfigBuilder:
    """Makes the same `RoutingConfig` as a `routing.json` does; every step returns the builder.

    Examples:
        >>> config = (
        ...     ModelRouterConfigBuilder()
        ...     .set_default_policy("latency")
        ...     .add_routing_rule("bert_*", "peak_ewma", preferred_backends=["gpu"], max_latency_ms=50.0)
        ...     .set_backend_weight("neural_engine", 1.5)
        ...     .build()
        ... )
        >>> config.router_config("bert_large").policy
        'peak_ewma'
    """

    def __init__(self) -> None:
        self._config = RoutingConfig()

    def set_default_policy(
        self, name: str, parameters: Mapping[str, str] = NO_PARAMETERS
    ) -> ModelRouterConfigBuilder:
        """Say what chooses where neither a model nor a rule does.

        Raises:
            ConfigurationError: no policy has that name, or it does not take a parameter.
        """
        return self._with(default_policy=PolicyChoice(name, parameters))

    def add_routing_rule(
        self,
        model_name_pattern: str,
        policy: str | None = None,
        parameters: Mapping[str, str] = NO_PARAMETERS,
        *,
        goal: OptimizationGoal | None = None,
        preferred_backends: Sequence[str] | None = None,
        max_latency_ms: float | None = None,
        refuse_late: bool | None = None,
    ) -> ModelRouterConfigBuilder:
        """Add a rule; the first whose pattern matches a model's name counts.

        Args:
            model_name_pattern: as in a shell: `*` is any text, `?` any character, `[ab]` one of them.
            policy: the name of what chooses; None: what a goal, the model or the default says.
            parameters: the policy's own settings, as texts by name.
            goal: what the choice is to be good at, instead of a policy.
            preferred_backends: variants on other devices are chosen only where these cost twice as much.
            max_latency_ms: the deadline of requests that name none.
            refuse_late: whether a request that no variant can answer in time is refused at once.

        Raises:
            ConfigurationError: an unknown policy, parameter or device, both a policy and a goal, or a
                deadline that is not above 0.
        """
        settings = RoutingSettings(
            policy=None if policy is None else PolicyChoice(policy, parameters),
            goal=goal,
            preferred_devices=None if preferred_backends is None else tuple(map(_device, preferred_backends)),
            max_latency_ms=max_latency_ms,
            refuse_late=refuse_late,
        )
        return self._with(rules=(*self._config.rules, RoutingRule(model_name_pattern, settings)))

    def set_backend_weight(self, backend: str, weight: float) -> ModelRouterConfigBuilder:
        """Say how much the variants on a device are preferred: 1 is neutral, 2 prefers twice as much.

        Raises:
            ConfigurationError: an unknown device, or a weight that is not above 0.
        """
        return self._with(device_weights={**self._config.device_weights, _device(backend): weight})

    def set_backend_limits(
        self, backend: str, *, max_in_flight: int | None = None, max_memory_mb: float | None = None
    ) -> ModelRouterConfigBuilder:
        """Say what may at most be in flight on a device, all models together.

        Raises:
            ConfigurationError: an unknown device, or a limit that nothing could pass.
        """
        limits = DeviceLimits(max_in_flight, max_memory_mb)
        return self._with(device_limits={**self._config.device_limits, _device(backend): limits})

    def enable_profiling(self, enabled: bool) -> ModelRouterConfigBuilder:
        """Say whether answers are learned from; else what is predicted stays as it is."""
        return self._with(profiling=enabled)

    def add_experiment(self, experiment: Experiment) -> ModelRouterConfigBuilder:
        """Compare two policies on the models whose names match the experiment's pattern.

        Raises:
            ConfigurationError: there is one of that name, or one that wants the same requests.
        """
        return self._with(experiments=(*self._config.experiments, experiment))

    def build(self) -> RoutingConfig:
        """The configuration."""
        return self._config

    def _with(self, **changes: Any) -> ModelRouterConfigBuilder:
        self._config = replace(self._config, **changes)
        return self


def _device(name: str) -> Device:
    known = [device.value for device in Device]
    if name not in known:
        raise ConfigurationError(
            f"backend: expected one of {', '.join(known)}, found '{name}'{nearest(name, known)}"
        )
    return Device(name)
