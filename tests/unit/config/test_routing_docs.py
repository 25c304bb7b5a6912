"""docs/tune/routing.md is right: its examples load, and its tables have every key."""

import json
from dataclasses import asdict

import pytest

from router_backend import Guardrails, ModelSettings
from router_backend.config.routing_config import RoutingConfig
from router_backend.config.routing_file import SCHEMA, parse_routing
from tests.documents import ROUTING, Example, examples, table

CONTENT = json.loads(SCHEMA.read_text(encoding="utf-8"))
PARTS = {
    "key": CONTENT,
    "key of a policy": CONTENT["$defs"]["policy"],
    "key of a rule": CONTENT["$defs"]["rule"],
    "key of limits": CONTENT["$defs"]["limits"],
    "key of an experiment": CONTENT["$defs"]["experiment"],
    "key of a step": CONTENT["$defs"]["step"],
    "key of guardrails": CONTENT["$defs"]["guardrails"],
}


@pytest.mark.parametrize("part", PARTS)
def test_every_key_is_listed(part: str):
    assert sorted(row[0] for row in table(ROUTING, part)) == sorted(PARTS[part]["properties"])


@pytest.mark.parametrize("part", PARTS)
def test_what_must_not_be_left_out_is_said(part: str):
    required = [key for key, *_, left_out in table(ROUTING, part) if left_out == "refused"]
    assert required == PARTS[part].get("required", [])


@pytest.mark.parametrize("example", examples("json routing"), ids=str)
def test_an_example_is_a_configuration(example: Example):
    assert parse_routing(str(example), example.text.encode()) != RoutingConfig()


def test_the_rules_of_the_first_example_say_what_they_seem_to():
    example, *_ = examples("json routing")
    config = parse_routing(str(example), example.text.encode())
    assert config.router_config("resnet50").policy == "throughput"
    assert config.router_config("vgg_mobile").policy == "power"
    assert config.router_config("bert").policy == "adaptive"


def test_the_guardrails_that_hold_where_none_are_said_are_right():
    stated = {key: left_out for key, _, left_out in table(ROUTING, "key of guardrails")}
    assert stated == {key: f"{value:g}" for key, value in asdict(Guardrails()).items()}


def test_what_is_said_to_hold_where_nothing_is_said_does():
    assert RoutingConfig().router_config("any") == ModelSettings()
