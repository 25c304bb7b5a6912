"""Builds a routing configuration in Python, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import LimitsSection, PolicyChoice, RoutingDocument, RoutingRule
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.policies.registry import NO_PARAMETERS
from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.typed_load import given, load


class ModelRouterConfigBuilder:
    """Builds the same `RoutingConfig` as a `routing.json`.

    Every step returns the builder, or raises a `ConfigurationError` about what `routing.json` may not say
    either.

    Examples:
        >>> config = (
        ...     ModelRouterConfigBuilder()
        ...     .set_default_policy("latency")
        ...     .add_routing_rule("bert_*", "peak_ewma", preferred_backends=["gpu"], max_latency_ms=50.0)
        ...     .set_backend_weight("neural_engine", 1.5)
        ...     .build()
        ... )
        >>> config.settings_for("bert_large").policy
        'peak_ewma'
    """

    def __init__(self) -> None:
        self._config = RoutingConfig()

    def set_default_policy(
        self, name: str, parameters: Mapping[str, str] = NO_PARAMETERS
    ) -> ModelRouterConfigBuilder:
        """Set the policy of models for which neither they themselves nor a rule name one."""
        choice = load(PolicyChoice, {"name": name, "parameters": dict(parameters)})
        return self._with(default_policy=choice)

    def add_routing_rule(
        self,
        model_name_pattern: str,
        policy: str | None = None,
        parameters: Mapping[str, str] = NO_PARAMETERS,
        **settings: Any,
    ) -> ModelRouterConfigBuilder:
        """Add a rule; the first whose pattern matches a model's name applies.

        Args:
            model_name_pattern: as in a shell: `*` is any text, `?` any character, `[ab]` one of them.
            policy: the policy's name; `None`: what a goal, the model or the default says.
            parameters: the policy's own settings, as texts by name.
            settings: the rule's other settings, by their names in `routing.json`.
        """
        members = {key: value for key, value in settings.items() if value is not None}
        if policy is not None:
            members["policy"] = {"name": policy, "parameters": dict(parameters)}
        rule = load(RoutingRule, {"model_name_pattern": model_name_pattern, **members})
        return self._with(rules=(*self._config.rules, rule))

    def set_backend_weight(self, backend: str, weight: float) -> ModelRouterConfigBuilder:
        """Set how much the variants on a device are preferred: 1 is neutral, 2 prefers them twice as much."""
        weights = load(RoutingDocument, {"backend_weights": {backend: weight}}).device_weights
        return self._with(device_weights={**self._config.device_weights, **weights})

    def set_backend_limits(
        self, backend: str, *, max_in_flight: int | None = None, max_memory_mb: float | None = None
    ) -> ModelRouterConfigBuilder:
        """Limit what may be in flight on a device, all models together."""
        stated = {"max_in_flight": max_in_flight, "max_memory_mb": max_memory_mb}
        members = {key: value for key, value in stated.items() if value is not None}
        limits = {load(Device, backend): DeviceLimits(**given(load(LimitsSection, members)))}
        return self._with(device_limits={**self._config.device_limits, **limits})

    def enable_profiling(self, enabled: bool) -> ModelRouterConfigBuilder:
        """Learn from answers or not; then the predictions stay as they are."""
        return self._with(profiling=load(bool, enabled))

    def add_experiment(self, experiment: Experiment) -> ModelRouterConfigBuilder:
        """Compare two policies on the models whose names match the experiment's pattern."""
        return self._with(experiments=(*self._config.experiments, experiment))

    def build(self) -> RoutingConfig:
        """Return the configuration."""
        return self._config

    def _with(self, **changes: Any) -> ModelRouterConfigBuilder:
        self._config = replace(self._config, **changes)
        return self
