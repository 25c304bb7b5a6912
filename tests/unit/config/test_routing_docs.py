"""docs/routing.md says what is so: its examples load, and what it says of the defaults holds."""

from dataclasses import asdict

import msgspec
import pytest

from router_backend import Guardrails, ModelSettings
from router_backend.config.load import parse_routing
from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import GuardrailsSection
from tests.documents import Example, examples


@pytest.mark.parametrize("example", examples("json routing"), ids=str)
def test_an_example_is_a_configuration(example: Example):
    assert parse_routing(str(example), example.text.encode()) != RoutingConfig()


def test_the_rules_of_the_first_example_say_what_they_seem_to():
    example, *_ = examples("json routing")
    config = parse_routing(str(example), example.text.encode())
    assert config.settings_for("resnet50").policy == "throughput"
    assert config.settings_for("vgg_mobile").policy == "power"
    assert config.settings_for("bert").policy == "adaptive"


def test_the_guardrails_by_default_are_those_of_the_core():
    assert msgspec.structs.asdict(GuardrailsSection()) == asdict(Guardrails())


def test_what_is_said_to_hold_where_nothing_is_said_does():
    assert RoutingConfig().settings_for("any") == ModelSettings()
