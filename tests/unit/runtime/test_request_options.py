import json
from typing import Any

import pytest

from router_backend.core.records.request import OptimizationGoal, RoutingContext
from router_backend.core.records.variant import Device
from router_backend.errors import InvalidRequestError
from router_backend.runtime.request_options import read_options
from router_backend.typed_load import shown

VARIANTS = ["m_cpu", "m_gpu"]


def refusal(**parameters: Any) -> str:
    with pytest.raises(InvalidRequestError) as error:
        read_options(json.dumps(parameters), VARIANTS)
    return str(error.value)


@pytest.mark.parametrize("text", ["", "{}"])
def test_no_parameters_ask_for_nothing(text):
    options = read_options(text, VARIANTS)
    assert (options.explain, options.dry_run, dict(options.forwarded)) == (False, False, {})


def test_parameters_that_are_not_the_routers_travel_on_with_their_types():
    parameters = {"temperature": "0.5", "top_k": 3, "stream": True, "prompt": "router_explain"}
    options = read_options(json.dumps(parameters), VARIANTS)
    assert dict(options.forwarded) == parameters
    assert not options.explain


@pytest.mark.parametrize(("key", "attribute"), [("router_explain", "explain"), ("router_dry_run", "dry_run")])
@pytest.mark.parametrize(
    ("value", "meaning"), [(True, True), (False, False), ("true", True), ("false", False)]
)
def test_a_switch_is_read_and_does_not_travel_on(key, attribute, value, meaning):
    options = read_options(json.dumps({key: value, "top_k": 3}), VARIANTS)
    assert getattr(options, attribute) is meaning
    assert dict(options.forwarded) == {"top_k": 3}


@pytest.mark.parametrize("key", ["router_explain", "router_dry_run"])
@pytest.mark.parametrize("value", ["True", "yes", "", 1, 0, 0.0, None])
def test_a_switch_that_is_neither_true_nor_false_is_refused(key, value):
    assert (
        refusal(**{key: value}) == f"request parameters: {key}: expected true or false, found {shown(value)}"
    )


@pytest.mark.parametrize("own", [{}, {"router_explain": True}])
def test_a_fraction_is_forwarded_as_text_and_a_whole_number_as_a_number(own):
    fractions = {"temperature": 0.5, "scale": 1e-7, "whole": 2.0}
    forwarded = read_options(json.dumps({**fractions, "beams": 4, **own}), VARIANTS).forwarded
    assert forwarded == {"temperature": "0.5", "scale": "1e-07", "whole": "2.0", "beams": 4}
    assert type(forwarded["beams"]) is int


def test_an_unknown_router_parameter_is_refused_with_the_nearest_and_the_known_ones():
    message = refusal(router_explian=True)
    assert message.startswith(
        "request parameters: expected a known key, found 'router_explian' (did you mean 'router_explain'?); "
        "use one of router_max_latency_ms, "
    )
    assert message.endswith(", router_report")


@pytest.mark.parametrize("value", [50, 50.0, "50"])
def test_a_deadline_is_a_number_or_its_text(value):
    assert read_options(json.dumps({"router_max_latency_ms": value}), VARIANTS).max_latency_ms == 50.0


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("router_max_latency_ms", "milliseconds"),
        ("router_max_memory_mb", "megabytes"),
        ("router_max_power_w", "watts"),
    ],
)
@pytest.mark.parametrize(
    "value", [0, -1, float("nan"), float("inf"), "nan", "inf", "soon", "50ms", "", True, None]
)
def test_a_number_that_is_not_above_zero_is_refused(key, unit, value):
    assert refusal(**{key: value}).startswith(
        f"request parameters: {key}: expected a number of {unit} above 0, found {shown(value)}"
    )


def test_what_the_router_is_to_know_is_read_into_the_fields_of_its_context():
    sent = {
        "router_refuse_late": "true",
        "router_goal": "minimize_power",
        "router_policy": "latency",
        "router_allowed_variants": "m_cpu, m_gpu",
        "router_allowed_devices": "cpu,gpu",
        "router_max_memory_mb": 100,
        "router_max_power_w": "5.5",
        "router_priority": -1,
    }
    assert RoutingContext(**read_options(json.dumps(sent), VARIANTS).context) == RoutingContext(
        refuse_late=True,
        optimization_goal=OptimizationGoal.MINIMIZE_POWER,
        policy="latency",
        allowed_variants=frozenset(VARIANTS),
        allowed_devices=frozenset({Device.CPU, Device.GPU}),
        max_memory_mb=100.0,
        max_power_w=5.5,
        priority=-1,
    )


@pytest.mark.parametrize(
    ("key", "value", "near"),
    [
        ("router_goal", "minimise_power", "minimize_power"),
        ("router_allowed_devices", "gpu,cpuu", "cpu"),
        ("router_allowed_variants", "m_cup", "m_cpu"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(key, value, near):
    assert f"(did you mean '{near}'?)" in refusal(**{key: value})


def test_half_a_character_is_refused():
    assert refusal(router_sticky_key="\ud800") == (
        r"request parameters: router_sticky_key: expected whole characters (\ud800 to \udfff alone are "
        r"halves), found '\ud800'"
    )


@pytest.mark.parametrize("key", ["router_policy_", "router_goal", "router_allowed_variants"])
def test_a_long_misspelled_name_is_refused_in_a_short_sentence(key):
    assert len(refusal(**{key: "m_cup" * 100_000})) < 1_000
    assert len(refusal(**{key * 100_000: "m_cup"})) < 1_000


@pytest.mark.parametrize("text", ['{"x": %s}' % ("9" * 5_000), '{"x": ' + "[" * 100_000, '{"x": '])
def test_parameters_that_python_cannot_read_are_refused(text):
    with pytest.raises(InvalidRequestError, match=r"^request parameters: expected a JSON object with texts"):
        read_options(text, VARIANTS)


@pytest.mark.parametrize("value", [1.5, True, "one"])
def test_a_priority_that_is_no_whole_number_is_refused(value):
    expected = f"request parameters: router_priority: expected a whole number, found {shown(value)}"
    assert refusal(router_priority=value) == expected


@pytest.mark.parametrize("key", ["router_explain", "router_dry_run", "router_report"])
def test_it_is_known_which_parameter_asks_for_an_explanation(key):
    assert read_options(json.dumps({key: True}), VARIANTS).explained_by == key
    assert read_options(json.dumps({key: False}), VARIANTS).explained_by is None
