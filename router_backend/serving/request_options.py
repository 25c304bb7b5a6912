"""What a request asks of the router itself: its parameters that start with `router_`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from router_backend.errors import InvalidRequestError, nearest

PREFIX = "router_"
SWITCHES = ("router_explain", "router_dry_run")

ParameterValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """The router's share of a request's parameters, and the rest.

    Args:
        explain: tell what was decided.
        dry_run: decide, but do not run the model.
        forwarded: the parameters that travel on to the variant.
    """

    explain: bool = False
    dry_run: bool = False
    forwarded: dict[str, ParameterValue] = field(default_factory=dict)


NOTHING = ("{}", "")
NO_OPTIONS = RequestOptions()


def read_options(parameters_json: str) -> RequestOptions:
    """Split a request's parameters, a JSON object or nothing.

    Raises:
        InvalidRequestError: an unknown `router_` parameter, one that is neither true nor false, or one for
            the variant that cannot travel on.
    """
    if parameters_json in NOTHING:
        return NO_OPTIONS
    parameters = json.loads(parameters_json)
    own = {key: value for key, value in parameters.items() if key.startswith(PREFIX)}
    for key in own:
        if key not in SWITCHES:
            raise InvalidRequestError(
                f"request parameter '{key}' is unknown{nearest(key, list(SWITCHES))}: "
                f"expected one of {', '.join(SWITCHES)}"
            )
    return RequestOptions(
        explain=_switch(own, "router_explain"),
        dry_run=_switch(own, "router_dry_run"),
        forwarded={key: _forwardable(key, value) for key, value in parameters.items() if key not in own},
    )


def _forwardable(key: str, value: ParameterValue) -> ParameterValue:
    """A parameter that Triton can hand from model to model; it has no way for fractions."""
    if isinstance(value, float):
        raise InvalidRequestError(
            f"request parameter '{key}': expected text, a whole number, true or false, which is all that "
            f"Triton hands on to a variant; found {value}: send it as text"
        )
    return value


def _switch(parameters: Mapping[str, ParameterValue], key: str) -> bool:
    value = parameters.get(key, False)
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise InvalidRequestError(f"request parameter '{key}': expected true or false, found {value!r}")
