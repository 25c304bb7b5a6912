"""What a request may ask of an emulated device: how long it is to take, or that it is to fail."""

import json

from router_backend.errors import InvalidRequestError, RouterError
from router_backend.executors.emulated_settings import MS, non_negative

REQUEST_PARAMETER = "emulated_service_ms"
"""Text, because Triton hands no fractions from model to model: a JSON object from variant to ms or null."""

_EXPECTED = f"text, a JSON object from variant to {MS}, or to null where it is to fail"


class EmulatedFailureError(RouterError):
    """The variant fails because the request says so."""


def requested_service_ms(model_name: str, parameters_json: str) -> float | None:
    """Return the service time in ms that a request sets for a variant; `None` if it sets none.

    Args:
        model_name: the variant.
        parameters_json: the parameters of the request as a JSON object; may be empty.

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
        told = json.loads(text)[model_name]
        service_ms = None if told is None else non_negative(told)
    except (ValueError, TypeError, KeyError):
        raise InvalidRequestError(
            f"request parameter '{REQUEST_PARAMETER}': expected {_EXPECTED}, with '{model_name}' among "
            f"them; found {text!r}"
        ) from None
    if service_ms is None:
        raise EmulatedFailureError(f"'{model_name}' failed, as the request asked")
    return service_ms
