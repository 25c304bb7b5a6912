"""The request parameter that sets the service time of an emulated device, or makes it fail."""

from __future__ import annotations

import json

from router_backend.errors import ConfigurationError, InvalidRequestError, RouterError
from router_backend.executors.emulated_settings import Ms
from router_backend.typed_load import Section, load

REQUEST_PARAMETER = "emulated_service_ms"
"""Text, because Triton hands no fractions from model to model: a JSON object from variant to ms or null."""


class _Time(Section, frozen=True):
    """What a request says of one variant."""

    ms: Ms | None


class EmulatedFailureError(RouterError):
    """The variant fails because the request asks for it."""


def requested_service_ms(model_name: str, parameters_json: str) -> float | None:
    """Return the service time in ms that a request sets for a variant; `None` if it sets none.

    The parameters of the request are a JSON object, or an empty text.

    Raises:
        InvalidRequestError: the parameter is invalid or lacks this variant.
        EmulatedFailureError: the request asks for a failure.

    Examples:
        >>> requested_service_ms("a", json.dumps({"emulated_service_ms": '{"a": 4.2, "b": 9}'}))
        4.2
    """
    parameters = json.loads(parameters_json or "{}")
    if REQUEST_PARAMETER not in parameters:
        return None
    text = parameters[REQUEST_PARAMETER]
    try:
        service_ms = load(_Time, {"ms": json.loads(text)[model_name]}).ms
    except (ValueError, TypeError, KeyError, ConfigurationError):
        raise InvalidRequestError(
            f"request parameters: {REQUEST_PARAMETER}: expected text, a JSON object from variant to a "
            f"number of ms of at least 0, or to null for a failure, with '{model_name}' among them, "
            f"found {text!r}"
        ) from None
    if service_ms is None:
        raise EmulatedFailureError(f"'{model_name}' failed, because the request asks for it")
    return service_ms
