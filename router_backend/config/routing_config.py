"""How the requests of many models are routed: default, rules by model name, and weights of the devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import combinations
from types import MappingProxyType
from typing import TypeVar

from router_backend.config.name_patterns import common_name
from router_backend.core.experiments.experiment import Experiment, check_experiments
from router_backend.core.policies.base import Policy
from router_backend.core.policies.goals import POLICY_OF_GOAL
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.registry import NO_PARAMETERS, create_policy
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import ConfigurationError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A policy with its own settings.

    Args:
        name: its name.
        parameters: its settings, as texts by name.

    Raises:
        ConfigurationError: no policy has that name, or it does not take a parameter.
    """

    name: str
    parameters: Mapping[str, str] = field(default_factory=lambda: NO_PARAMETERS)

    def __post_init__(self) -> None:
        """Refuse what no policy can be made of."""
        self.new_policy()

    def new_policy(self) -> Policy:
        """A new policy of that name with these settings, for one model."""
        return create_policy(self.name, self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings:
    """What one place says of a model's requests; None: it says nothing of that.

    Args:
        policy: what chooses.
        goal: what the choice is to be good at, which says what chooses, too.
        preferred_devices: variants elsewhere are chosen only where these cost twice as much.
        max_latency_ms: the deadline of requests that name none.
        refuse_late: whether a request that no variant can answer in time is refused at once.
        device_weights: how much the variants on a device are preferred; 1 is neutral.

    Raises:
        ConfigurationError: both a policy and a goal.
    """

    policy: PolicyChoice | None = None
    goal: OptimizationGoal | None = None
    preferred_devices: tuple[Device, ...] | None = None
    max_latency_ms: float | None = None
    refuse_late: bool | None = None
    device_weights: Mapping[Device, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Refuse two answers to one question."""
        if self.policy is not None and self.goal is not None:
            raise ConfigurationError(
                f"goal: expected a policy or a goal, found both, '{self.policy.name}' and "
                f"'{self.goal.value}': a goal says which policy it is, remove one"
            )

    @property
    def chooser(self) -> PolicyChoice | None:
        """The policy, named or meant by the goal."""
        return self.policy if self.goal is None else PolicyChoice(POLICY_OF_GOAL[self.goal])


SILENCE = RoutingSettings()


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """Settings for the models whose names match.

    Args:
        model_name_pattern: as in a shell: `*` is any text, `?` any character, `[ab]` one of them; upper and
            lower case differ.
        settings: what holds for them.
    """

    model_name_pattern: str
    settings: RoutingSettings = SILENCE

    def matches(self, model_name: str) -> bool:
        """Whether it is for a model."""
        return fnmatchcase(model_name, self.model_name_pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingConfig:
    """The routing configuration of any number of models, as `routing.json` holds it.

    Args:
        default_policy: what chooses where nothing else is said.
        rules: in the order in which they are tried; the first whose pattern matches counts, alone.
        device_weights: how much the variants on a device are preferred; 1 where nothing is said.
        device_limits: the most that may be in flight on a device, all models together.
        experiments: comparisons of policies, for the models whose names match theirs.
        profiling: whether answers are learned from; else what is predicted stays as it is.

    Examples:
        >>> config = RoutingConfig(
        ...     rules=(RoutingRule("bert_*", RoutingSettings(max_latency_ms=50.0)),),
        ...     device_weights={Device.GPU: 1.2},
        ... )
        >>> config.router_config("bert_large").max_latency_ms
        50.0
        >>> config.router_config("resnet50").max_latency_ms is None
        True
    """

    default_policy: PolicyChoice = PolicyChoice(LatencyOptimizedPolicy.name)
    rules: tuple[RoutingRule, ...] = ()
    device_weights: Mapping[Device, float] = field(default_factory=lambda: MappingProxyType({}))
    device_limits: Mapping[Device, DeviceLimits] = field(default_factory=lambda: MappingProxyType({}))
    experiments: tuple[Experiment, ...] = ()
    profiling: bool = True

    def __post_init__(self) -> None:
        """Refuse what no router could follow.

        Raises:
            ConfigurationError: a weight or a deadline that is not above 0, experiments of one name, or such
                that want the same requests.
        """
        for rule in (None, *self.rules):
            self.resolve(rule)
        self._check_experiments()

    def rule_for(self, model_name: str) -> RoutingRule | None:
        """The first rule that is for a model; None: none is."""
        return next((rule for rule in self.rules if rule.matches(model_name)), None)

    def router_config(self, model_name: str, own: RoutingSettings = SILENCE) -> ModelSettings:
        """The settings of a model.

        Args:
            model_name: the logical model.
            own: what the model itself says, which comes before the rule for it, setting by setting.

        Raises:
            ConfigurationError: a weight or a deadline of its own that is not above 0.
        """
        return self.resolve(self.rule_for(model_name), own)

    def resolve(self, rule: RoutingRule | None, own: RoutingSettings = SILENCE) -> ModelSettings:
        """The settings of a model that a rule is for; None: none is.

        Raises:
            ConfigurationError: a weight or a deadline of its own that is not above 0.
        """
        ruled = SILENCE if rule is None else rule.settings
        chooser = _first(own.chooser, ruled.chooser) or self.default_policy
        return ModelSettings(
            policy=chooser.name,
            policy_parameters=chooser.parameters,
            preferred_devices=frozenset(_first(own.preferred_devices, ruled.preferred_devices) or ()),
            device_weights={**self.device_weights, **own.device_weights},
            device_limits=self.device_limits,
            max_latency_ms=_first(own.max_latency_ms, ruled.max_latency_ms),
            refuse_late=_first(own.refuse_late, ruled.refuse_late) or False,
            profiling=self.profiling,
        )

    def chooser_for(self, model_name: str) -> tuple[PolicyChoice, str]:
        """What chooses for a model that says nothing of it, and which place says so, as in a file."""
        for index, rule in enumerate(self.rules):
            if rule.matches(model_name):
                if rule.settings.chooser is not None:
                    return rule.settings.chooser, f"routing_rules[{index}].policy"
                break
        return self.default_policy, "default_policy"

    def possible_overlaps(self) -> list[tuple[Experiment, Experiment, str]]:
        """Pairs of experiments that want the same requests of a model, if it has a name that both match.

        With each pair goes such a name.
        """
        named = [
            (one, other, common_name(one.model_name_pattern, other.model_name_pattern))
            for one, other in combinations(self.experiments, 2)
            if one.overlaps(other)
        ]
        return [(one, other, name) for one, other, name in named if name is not None]

    def unused_patterns(self, model_names: Iterable[str]) -> list[str]:
        """The patterns of rules and experiments that match none of these models."""
        names = list(model_names)
        patterns = [
            *(rule.model_name_pattern for rule in self.rules),
            *(experiment.model_name_pattern for experiment in self.experiments),
        ]
        return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]

    def apply_to_router(self, router: ModelRouter) -> None:
        """Have a router decide by this from now on, for the models it has and for those to come.

        Raises:
            ConfigurationError: a policy is for a variant that a model has not; then nothing has changed.
        """
        router.configure(self.router_config, self.experiments)

    def _check_experiments(self) -> None:
        """Refuse what no model could take; whether two patterns meet is seen when a model matches both."""
        names = [experiment.experiment_id for experiment in self.experiments]
        if len(set(names)) < len(names):
            raise ConfigurationError(f"every experiment_id may stand once, found {', '.join(names)}")
        for pattern in {experiment.model_name_pattern for experiment in self.experiments}:
            same = [each for each in self.experiments if each.model_name_pattern in (pattern, "*")]
            check_experiments(pattern, same)


def _first(one: Value | None, other: Value | None) -> Value | None:
    return other if one is None else one
