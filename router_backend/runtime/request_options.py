"""What a request asks of the router itself: its parameters that start with `router_`."""

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from router_backend.config.settings import one_of
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.errors import InvalidRequestError, UnknownNameError, nearest

PREFIX = "router_"

ParameterValue = str | int | float | bool


class Parameter(NamedTuple):
    """One of the router's request parameters.

    Args:
        sets: what it sets: a field of `RequestOptions`, or of the request's `RoutingContext`.
        read: makes the value of what was sent; raises ValueError where it cannot.
        expected: what must be sent, for the message.
    """

    sets: str
    read: Callable[[ParameterValue], Any]
    expected: str


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """The router's share of a request's parameters, and the rest.

    Args:
        explain: tell what was decided.
        dry_run: decide, but do not run the model.
        report: tell how the router stands, and do nothing else.
        max_latency_ms: the deadline, from the request's arrival; None: the model's own, if it has one.
        sticky_key: what experiments assign an arm by; empty: the correlation id, else the request id.
        context: what else the router is to know of the request, by field of `RoutingContext`.
        forwarded: the parameters that travel on to the variant.
    """

    explain: bool = False
    dry_run: bool = False
    report: bool = False
    max_latency_ms: float | None = None
    sticky_key: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    forwarded: dict[str, ParameterValue] = field(default_factory=dict)

    @property
    def explained_by(self) -> str | None:
        """The parameter that asks for the decision or the report; None: none does."""
        if self.report:
            return "router_report"
        if self.dry_run:
            return "router_dry_run"
        return "router_explain" if self.explain else None


NOTHING = ("{}", "")
NO_OPTIONS = RequestOptions()
OF_OPTIONS = frozenset(RequestOptions.__dataclass_fields__)


def read_options(parameters_json: str, variants: Collection[str]) -> RequestOptions:
    """Split a request's parameters, a JSON object or nothing.

    Args:
        parameters_json: as Triton hands them over.
        variants: the names of the model's variants.

    Raises:
        InvalidRequestError: an unknown `router_` parameter or a value that it cannot have, or a parameter for
            the variant that cannot travel on.
    """
    if parameters_json in NOTHING:
        return NO_OPTIONS
    options: dict[str, Any] = {}
    context: dict[str, Any] = {}
    forwarded: dict[str, ParameterValue] = {}
    for key, value in json.loads(parameters_json).items():
        if not key.startswith(PREFIX):
            forwarded[key] = _forwardable(key, value)
            continue
        sets = _known(key).sets
        (options if sets in OF_OPTIONS else context)[sets] = _read(key, value)
    _check_variants(context.get("allowed_variants", ()), variants)
    return RequestOptions(**options, context=context, forwarded=forwarded)


def _known(key: str) -> Parameter:
    if key not in PARAMETERS:
        raise InvalidRequestError(
            f"request parameter '{key}' is unknown{nearest(key, list(PARAMETERS))}: "
            f"expected one of {', '.join(PARAMETERS)}"
        )
    return PARAMETERS[key]


def _read(key: str, value: ParameterValue) -> Any:
    parameter = PARAMETERS[key]
    try:
        return parameter.read(value)
    except ValueError as error:
        hint = error.hint if isinstance(error, UnknownNameError) else ""
        raise InvalidRequestError(
            f"request parameter '{key}': expected {parameter.expected}, found {value!r}{hint}"
        ) from None


def _check_variants(allowed: Collection[str], variants: Collection[str]) -> None:
    for name in allowed:
        if name not in variants:
            raise InvalidRequestError(
                f"request parameter 'router_allowed_variants': expected variants of the model, "
                f"{', '.join(variants)}, found '{name}'{nearest(name, list(variants))}"
            )


def _forwardable(key: str, value: ParameterValue) -> ParameterValue:
    """A parameter that Triton can hand from model to model; it has no way for fractions."""
    if isinstance(value, float):
        raise InvalidRequestError(
            f"request parameter '{key}': expected text, a whole number, true or false, which is all that "
            f"Triton hands on to a variant; found {value}: send it as text"
        )
    return value


def _switch(value: ParameterValue) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError(value)


def _above_zero(value: ParameterValue) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)
    number = float(value)
    if not 0.0 < number < math.inf:
        raise ValueError(value)
    return number


def _whole(value: ParameterValue) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(value)
    return int(value)


def _text(value: ParameterValue) -> str:
    """Text, or a whole number as text: keys and the like are often numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(value)
    return str(value)


def _names(value: ParameterValue) -> frozenset[str]:
    if not isinstance(value, str):
        raise ValueError(value)
    names = frozenset(part.strip() for part in value.split(","))
    if "" in names:
        raise ValueError(value)
    return names


def _devices(value: ParameterValue) -> frozenset[Device]:
    return frozenset(map(one_of(Device), _names(value)))


def _goal(value: ParameterValue) -> OptimizationGoal:
    return one_of(OptimizationGoal)(str(value))


DEVICES = [device.value for device in Device]
GOALS = [goal.value for goal in OptimizationGoal]
SWITCH = "true or false"
ABOVE_ZERO = "a number above 0"

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "router_max_latency_ms": Parameter("max_latency_ms", _above_zero, ABOVE_ZERO),
        "router_refuse_late": Parameter("refuse_late", _switch, SWITCH),
        "router_goal": Parameter("optimization_goal", _goal, f"one of {', '.join(GOALS)}"),
        "router_policy": Parameter("policy", _text, "the name of a policy"),
        "router_allowed_variants": Parameter(
            "allowed_variants", _names, "names of variants with commas between"
        ),
        "router_allowed_devices": Parameter(
            "allowed_devices", _devices, f"devices with commas between ({', '.join(DEVICES)})"
        ),
        "router_max_memory_mb": Parameter("max_memory_mb", _above_zero, ABOVE_ZERO),
        "router_max_power_w": Parameter("max_power_w", _above_zero, ABOVE_ZERO),
        "router_priority": Parameter("priority", _whole, "a whole number"),
        "router_sticky_key": Parameter("sticky_key", _text, "text, or a whole number"),
        "router_explain": Parameter("explain", _switch, SWITCH),
        "router_dry_run": Parameter("dry_run", _switch, SWITCH),
        "router_report": Parameter("report", _switch, SWITCH),
    }
)
