"""Which setting applies: that of config.pbtxt, else of the first rule that matches, else the default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from msgspec import UNSET

from router_backend.config.schema import PolicyChoice, RouterParameters, RoutingRule
from router_backend.core.experiments.experiment import Experiment, check_experiments, check_names
from router_backend.core.policies.base import Policy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.records.variant import Device
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import ConfigurationError

SETTINGS = [each.name for each in fields(ModelSettings) if each.name not in ("policy", "policy_parameters")]
"""The settings that resolve one by one; a policy goes with its parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingConfig:
    """The routing configuration of any number of models, as `routing.json` holds it.

    Its fields are those of `RoutingDocument`, with limits and experiments as the core has them.

    Raises:
        ConfigurationError: a weight or a deadline that is not above 0, two experiments of one name, or
            two that compete for the same requests.

    Examples:
        >>> config = RoutingConfig(
        ...     rules=(RoutingRule(model_name_pattern="bert_*", max_latency_ms=50.0),),
        ...     device_weights={Device.GPU: 1.2},
        ... )
        >>> config.settings_for("bert_large").max_latency_ms
        50.0
        >>> config.settings_for("resnet50").max_latency_ms is None
        True
    """

    default_policy: PolicyChoice = field(default_factory=lambda: PolicyChoice(LatencyOptimizedPolicy.name))
    rules: tuple[RoutingRule, ...] = ()
    device_weights: Mapping[Device, float] = field(default_factory=dict)
    device_limits: Mapping[Device, DeviceLimits] = field(default_factory=dict)
    experiments: tuple[Experiment, ...] = ()
    profiling: bool = True

    def __post_init__(self) -> None:
        """Reject what no router could follow."""
        for rule in (None, *self.rules):
            self.resolve(rule)
        check_names(self.experiments)
        for pattern in {experiment.model_name_pattern for experiment in self.experiments}:
            same = [each for each in self.experiments if each.model_name_pattern in (pattern, "*")]
            try:
                check_experiments(pattern, same)
            except ConfigurationError as error:
                raise error.at(path="experiments") from None

    @property
    def policy_choice(self) -> PolicyChoice:
        """The policy where no other place names one."""
        return self.default_policy

    def rule_for(self, model_name: str) -> RoutingRule | None:
        """Return the first rule for a model, `None` if there is none."""
        return next((rule for rule in self.rules if fnmatchcase(model_name, rule.model_name_pattern)), None)

    def settings_for(self, model_name: str, own: RouterParameters | None = None) -> ModelSettings:
        """Return the settings of a model; its own take precedence over the rule's, setting by setting."""
        return self.resolve(self.rule_for(model_name), own)

    def resolve(self, rule: RoutingRule | None, own: RouterParameters | None = None) -> ModelSettings:
        """Return the settings of a model with this rule and these parameters of its own."""
        places = [place for place in (own, rule, self) if place is not None]
        policy = _first_said("policy_choice", places)
        said = {name: _first_said(name, places) for name in SETTINGS}
        return ModelSettings(
            policy=policy.name,
            policy_parameters=policy.parameters,
            **{name: value for name, value in said.items() if value is not UNSET},
        )

    def unused_patterns(self, model_names: Iterable[str]) -> list[str]:
        """Return the patterns of rules and experiments that match none of these models."""
        patterns = [rule.model_name_pattern for rule in self.rules]
        patterns += [experiment.model_name_pattern for experiment in self.experiments]
        return unmatched_patterns(patterns, model_names)

    def apply_to_router(self, router: ModelRouter) -> None:
        """Configure a router, for the models that it has and for those registered later.

        Its experiments replace those of the configuration before; those that were started by hand go on.

        Raises:
            ConfigurationError: a policy is for a variant that a model does not have, or an experiment would
                use the requests of one that was started by hand; then nothing has changed.
        """
        router.configure(self.settings_for, self.experiments)

    def policies_of(
        self, model_name: str, own: RouterParameters
    ) -> Iterator[tuple[Callable[[], Policy], str]]:
        """Return what makes the policies of a model, each with the path of the setting; of its own, none."""
        rule = self.rule_for(model_name)
        if own.policy_choice is not UNSET:
            yield own.policy_choice.new_policy, ""
        elif rule is not None and rule.policy_choice is not UNSET:
            yield rule.policy_choice.new_policy, f"routing_rules[{self.rules.index(rule)}].policy"
        else:
            yield self.default_policy.new_policy, "default_policy"
        for index, experiment in enumerate(self.experiments):
            if experiment.matches(model_name):
                yield experiment.new_control, f"experiments[{index}].control"
                yield experiment.new_treatment, f"experiments[{index}].treatment"


def unmatched_patterns(patterns: Iterable[str], model_names: Iterable[str]) -> list[str]:
    """Return the patterns that match none of these models."""
    names = list(model_names)
    return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]


def _first_said(name: str, places: Iterable[object]) -> Any:
    """Return what the first place says; of mappings, what the first place says of each key."""
    said = [getattr(place, name) for place in places if getattr(place, name, UNSET) is not UNSET]
    if said and isinstance(said[0], Mapping):
        return {key: value for each in reversed(said) for key, value in each.items()}
    return said[0] if said else UNSET
