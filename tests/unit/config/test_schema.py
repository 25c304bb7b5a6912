"""The schema that ships, and the reader that does without it, agree."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from router_backend import Device, OptimizationGoal
from router_backend.config import load
from router_backend.config.load import parse_routing
from router_backend.config.schema import PolicyChoice
from router_backend.errors import ConfigurationError
from tests.unit.config.routing_documents import BAD, BEYOND_THE_SCHEMA, FULL, GOOD

SCHEMA = Path(load.__file__).with_name("routing.schema.json")
CONTENT = json.loads(SCHEMA.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(CONTENT)


def reader_accepts(document: Any) -> bool:
    try:
        parse_routing("routing.json", json.dumps(document).encode())
    except ConfigurationError:
        return False
    return True


def test_the_schema_is_one():
    Draft202012Validator.check_schema(CONTENT)


@pytest.mark.parametrize("name", GOOD)
def test_both_accept_a_good_document(name: str):
    assert VALIDATOR.is_valid(GOOD[name])
    assert reader_accepts(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_both_refuse_a_bad_document(name: str):
    document, _ = BAD[name]
    assert not VALIDATOR.is_valid(document)
    assert not reader_accepts(document)


@pytest.mark.parametrize("name", BEYOND_THE_SCHEMA)
def test_what_is_beyond_the_schema_passes_it(name: str):
    text, _ = BEYOND_THE_SCHEMA[name]
    assert VALIDATOR.is_valid(json.loads(text))


def test_devices_and_goals_are_those_of_the_router():
    assert sorted(CONTENT["$defs"]["Device"]["enum"]) == sorted(device.value for device in Device)
    goals = CONTENT["$defs"]["OptimizationGoal"]["enum"]
    assert sorted(goals) == sorted(goal.value for goal in OptimizationGoal)


def test_every_key_is_described():
    objects = [CONTENT, *(each for each in CONTENT["$defs"].values() if each.get("type") == "object")]
    keys = {key: value for each in objects for key, value in each["properties"].items()}
    assert [key for key, value in keys.items() if "description" not in value] == []


def test_a_file_can_be_checked_with_the_schema_alone(tmp_path: Path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(FULL))
    bad.write_text(json.dumps({"backend_weights": {"gpu": -1}}))
    check = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA)]
    assert subprocess.run([*check, str(good)], check=False, capture_output=True).returncode == 0
    assert subprocess.run([*check, str(bad)], check=False, capture_output=True).returncode == 1


TEXTS = ("", "gpu", "tpu", "p2c", "balanced", "request", "model")
OTHERS = (
    "null",
    "true",
    "false",
    "-1",
    "0",
    "1",
    "2.5",
    "[]",
    '["cpu"]',
    '["gpu", "gpu"]',
    "{}",
    '{"name": "c3"}',
)
VALUES = st.sampled_from([*map(json.dumps, TEXTS), *OTHERS]).map(json.loads)  # each an object of its own
KEYS = st.sampled_from(
    ("name", "goal", "gpu", "tpu", "policy", "max_latency_ms", "max_in_flight", "routing_rules", "extra")
)


# What the numbers of a range or a rollout say together is beyond the schema.
TOGETHER = ("unit_range", "rollout")
EXPERIMENT = {key: value for key, value in FULL["experiments"][0].items() if key not in TOGETHER}
CHANGEABLE = {**FULL, "experiments": [EXPERIMENT]}


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A good document with up to three values replaced, taken out or added anywhere in it."""
    document: Any = json.loads(json.dumps({"": CHANGEABLE}))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(list(_places(document))))
        how = draw(st.sampled_from(("replace", "remove", "add")))
        if how == "add" and isinstance(container[key], dict):
            container[key][draw(KEYS)] = draw(VALUES)
        elif how == "add" and isinstance(container[key], list):
            container[key].append(draw(VALUES))
        elif how == "remove" and key != "":
            del container[key]
        else:
            container[key] = draw(VALUES)
    return document[""]


def _places(value: Any):
    """Every container and key in a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in list(entries):
        yield value, key
        if isinstance(member, dict | list):
            yield from _places(member)


def policies_exist(document: Any) -> bool:
    """What the schema leaves to the reader: that the policies can be made."""
    rules, experiments = document.get("routing_rules", ()), document.get("experiments", ())
    asked = [document.get("default_policy"), *(rule.get("policy") for rule in rules)]
    asked += [experiment[arm] for experiment in experiments for arm in ("control", "treatment")]
    try:
        for policy in filter(None, asked):
            PolicyChoice(policy["name"], policy.get("parameters", {}))
    except ConfigurationError:
        return False
    return True


@given(mutated())
@settings(max_examples=600, derandomize=True)
def test_both_agree_on_documents_that_were_changed_at_random(document: Any):
    assert reader_accepts(document) == (VALIDATOR.is_valid(document) and policies_exist(document))
