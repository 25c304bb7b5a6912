import json

import pytest

from router_backend.errors import InvalidRequestError
from router_backend.executors.emulated_request import EmulatedFailureError, requested_service_ms


def parameters(requested: object) -> str:
    return json.dumps({"other": 1, "emulated_service_ms": requested})


@pytest.mark.parametrize("text", ["", "{}", '{"other": "emulated_service_ms"}'])
def test_a_request_without_the_parameter_sets_no_time(text: str) -> None:
    assert requested_service_ms("a", text) is None


def test_each_variant_has_its_time() -> None:
    text = parameters('{"a": 4.25, "b": 0}')
    assert (requested_service_ms("a", text), requested_service_ms("b", text)) == (4.25, 0.0)


def test_null_makes_the_variant_fail() -> None:
    with pytest.raises(EmulatedFailureError, match="'a' failed, because the request asks for it"):
        requested_service_ms("a", parameters('{"a": null, "b": 1}'))


@pytest.mark.parametrize(
    "requested",
    [7, True, "", "fast", "7", "null", "[4.2]", '"a"', '{"b": 1}', '{"a": "4"}', '{"a": -1}', '{"a": NaN}'],
)
def test_an_invalid_parameter_is_refused_with_what_was_expected_and_found(requested: object) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        requested_service_ms("a", parameters(requested))
    message = str(refused.value)
    assert message.startswith("request parameters: emulated_service_ms: expected text, a JSON object from")
    assert message.endswith(f"with 'a' among them, found {requested!r}")
