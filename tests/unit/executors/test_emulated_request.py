import json

import pytest

from router_backend.errors import InvalidRequestError
from router_backend.executors.emulated_request import EmulatedFailureError, told_service_ms


def parameters(told: object) -> str:
    return json.dumps({"other": 1, "emulated_service_ms": told})


@pytest.mark.parametrize("text", ["", "{}", '{"other": "emulated_service_ms"}'])
def test_a_request_that_says_nothing_sets_nothing(text: str) -> None:
    assert told_service_ms("a", text) is None


def test_each_variant_finds_its_own_time() -> None:
    text = parameters('{"a": 4.25, "b": 0}')
    assert (told_service_ms("a", text), told_service_ms("b", text)) == (4.25, 0.0)


def test_null_makes_the_variant_fail() -> None:
    with pytest.raises(EmulatedFailureError, match="'a' fails, as the request says"):
        told_service_ms("a", parameters('{"a": null, "b": 1}'))


@pytest.mark.parametrize(
    "told",
    [7, True, "", "fast", "7", "null", "[4.2]", '"a"', '{"b": 1}', '{"a": "4"}', '{"a": -1}', '{"a": NaN}'],
)
def test_what_cannot_be_read_is_refused_with_what_was_expected_and_found(told: object) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        told_service_ms("a", parameters(told))
    message = str(refused.value)
    assert message.startswith("request parameters: emulated_service_ms: expected text, a JSON object from")
    assert message.endswith(f"with 'a' among them, found {told!r}")
