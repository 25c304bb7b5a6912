"""The result of a check."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields

from msgspec import UNSET, Struct, structs

from router_backend.config.load import RouterSetup
from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import RouterParameters, RoutingDocument, RoutingRule
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.records.variant import Variant
from router_backend.core.settings import ModelSettings
from router_backend.errors import Problem
from router_backend.typed_load import fields_of

NAMES = {each.name: key for kind in (RoutingDocument, RoutingRule) for key, each in fields_of(kind).items()}
"""What the files call the settings, by their names in the core."""
CONFIG_PBTXT = "config.pbtxt"
DEFAULT = "default"
ROUTING_FILE = "routing file"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a router model, or any model that matches a pattern, gets.

    Args:
        settings: its settings.
        sources: by setting, the place that decides: config.pbtxt, a rule, the rest of the routing file, or
            the default.
        experiments: the experiments that it takes part in.
        variants: the variants that it uses; empty for a pattern.
    """

    settings: ModelSettings
    sources: Mapping[str, str]
    experiments: tuple[Experiment, ...] = ()
    variants: tuple[Variant, ...] = ()

    @classmethod
    def of_router(cls, router: RouterSetup) -> "Resolved":
        """Return what a router gets."""
        config = router.routing
        return cls(
            router.settings,
            sources_of(config, config.rule_for(router.name), router.parameters),
            tuple(each for each in config.experiments if each.matches(router.name)),
            tuple(router.usable),
        )

    @classmethod
    def of_rule(cls, config: RoutingConfig, rule: RoutingRule | None) -> "Resolved":
        """Return what the models of a rule get; `None`: those of none."""
        return cls(config.resolve(rule), sources_of(config, rule, None))


@dataclass(frozen=True, slots=True)
class Checked:
    """What a configuration resolves to, and everything that is worth saying about it.

    Args:
        resolved: by the name of a router model, or by the pattern of a rule; without those that are wrong.
        errors: what is wrong.
        warnings: what is valid, but useless, or would be invalid for a model or machine that is not here.
        hints: what would make the first requests faster.
        experiments: the experiments of a routing file, where it is unknown which models they are for.
    """

    resolved: Mapping[str, Resolved]
    errors: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    experiments: tuple[Experiment, ...] = field(default=())


def sources_of(
    config: RoutingConfig, rule: RoutingRule | None, own: RouterParameters | None
) -> dict[str, str]:
    """Return the place that decides each setting; of weights and limits, all places that name a device."""
    default = RoutingConfig()
    says: dict[str, Callable[[str], bool]] = {
        CONFIG_PBTXT: lambda name: _says(own, name),
        "" if rule is None else f"rule '{rule.model_name_pattern}'": lambda name: _says(rule, name),
        ROUTING_FILE: lambda name: getattr(config, name, None) != getattr(default, name, None),
    }
    found = {}
    for name in (each.name for each in fields(ModelSettings)):
        asked = "policy_choice" if name in ("policy", "policy_parameters") else name
        places = [place for place, said in says.items() if said(asked)]
        found[name] = _joined(name, places)
    return found


def _says(place: Struct | None, name: str) -> bool:
    value = getattr(place, name, UNSET)
    if place is None or value is UNSET or value == {}:
        return False
    defaults = {each.name: each.default for each in structs.fields(type(place))}
    return bool(value != defaults.get(name, UNSET))


def _joined(name: str, places: Iterable[str]) -> str:
    said = list(places)
    merged = name in ("device_weights", "device_limits")
    return " and ".join(said if merged else said[:1]) or DEFAULT
