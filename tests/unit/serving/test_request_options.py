import json
from typing import Any

import pytest

from router_backend.errors import InvalidRequestError
from router_backend.serving.request_options import read_options


def refusal(**parameters: Any) -> str:
    with pytest.raises(InvalidRequestError) as error:
        read_options(json.dumps(parameters))
    return str(error.value)


@pytest.mark.parametrize("text", ["", "{}"])
def test_no_parameters_ask_for_nothing(text):
    options = read_options(text)
    assert (options.explain, options.dry_run, dict(options.forwarded)) == (False, False, {})


def test_parameters_that_are_not_the_routers_travel_on_with_their_types():
    parameters = {"temperature": "0.5", "top_k": 3, "stream": True, "prompt": "router_explain"}
    options = read_options(json.dumps(parameters))
    assert dict(options.forwarded) == parameters
    assert not options.explain


@pytest.mark.parametrize(("key", "attribute"), [("router_explain", "explain"), ("router_dry_run", "dry_run")])
@pytest.mark.parametrize(
    ("value", "meaning"), [(True, True), (False, False), ("true", True), ("false", False)]
)
def test_a_switch_is_read_and_does_not_travel_on(key, attribute, value, meaning):
    options = read_options(json.dumps({key: value, "top_k": 3}))
    assert getattr(options, attribute) is meaning
    assert dict(options.forwarded) == {"top_k": 3}


@pytest.mark.parametrize("key", ["router_explain", "router_dry_run"])
@pytest.mark.parametrize("value", ["True", "yes", "", 1, 0, 0.0, None])
def test_a_switch_that_is_neither_true_nor_false_is_refused(key, value):
    assert refusal(**{key: value}) == f"request parameter '{key}': expected true or false, found {value!r}"


def test_a_fraction_which_triton_cannot_hand_on_is_refused():
    assert refusal(temperature=0.5) == (
        "request parameter 'temperature': expected text, a whole number, true or false, which is all that "
        "Triton hands on to a variant; found 0.5: send it as text"
    )


def test_an_unknown_router_parameter_is_refused_with_the_nearest_and_the_known_ones():
    message = refusal(router_explian=True)
    assert message.startswith(
        "request parameter 'router_explian' is unknown (did you mean 'router_explain'?)"
    )
    assert "router_explain" in message.partition("expected one of")[2]
    assert "router_dry_run" in message.partition("expected one of")[2]
