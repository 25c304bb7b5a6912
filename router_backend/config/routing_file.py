"""Reads and writes `routing.json`, in the shape that `routing.schema.json` beside this file describes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router_backend.config.experiments_section import experiment_document, read_experiments
from router_backend.config.json_node import JsonNode, as_json, parse_json
from router_backend.config.policy_section import policy_document, read_policy
from router_backend.config.routing_config import RoutingConfig, RoutingRule, RoutingSettings
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import ConfigurationError
from router_backend.path_kind import REGULAR_FILE, path_kind

SCHEMA = Path(__file__).parent / "routing.schema.json"

DEVICES = ", ".join(device.value for device in Device)
A_NUMBER_OF_MS = "a number of milliseconds above 0 (leave it out where there is no deadline)"
A_WEIGHT = "a number above 0 (1 is neutral, 2 prefers twice as much)"
KEYS = (
    "$schema",
    "default_policy",
    "routing_rules",
    "backend_weights",
    "backend_limits",
    "profiling",
    "experiments",
)
KEYS_OF_A_RULE = (
    "model_name_pattern",
    "policy",
    "goal",
    "preferred_backends",
    "max_latency_ms",
    "refuse_late",
)


@dataclass(frozen=True, slots=True)
class RoutingFile:
    """A routing configuration, and the file that it is from.

    Args:
        path: where the file is.
        content: what was in it.
        config: the same, read.
    """

    path: Path
    content: bytes
    config: RoutingConfig


def read_routing_file(path: Path) -> RoutingFile:
    """Read the routing configuration in a file.

    Raises:
        ConfigurationError: it cannot be read, or something in it is wrong: where, expected, found, the fix.
    """
    content = read_content(path)
    return RoutingFile(path, content, parse_routing(str(path), content))


def read_content(path: Path) -> bytes:
    """What is in a file.

    Raises:
        ConfigurationError: there is no file, or it cannot be read.
    """
    kind = path_kind(path)
    if kind != REGULAR_FILE:  # reading a pipe would wait for good
        raise ConfigurationError(f"{path}: expected a routing configuration, found {kind}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: expected a readable file, found {error.strerror}") from None


def parse_routing(source: str, content: bytes) -> RoutingConfig:
    """The routing configuration in the content of a file.

    Args:
        source: where it is from, for the messages.
        content: JSON in UTF-8.

    Raises:
        ConfigurationError: something in it is wrong: where, expected, found, the fix.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{source}: expected text in UTF-8, found byte {error.start} that is not"
        ) from None
    node = parse_json(source, text)
    members = node.members(KEYS)
    if "$schema" in members:
        members["$schema"].text("the address of a schema")
    more: dict[str, Any] = {}
    if "default_policy" in members:
        more["default_policy"] = read_policy(members["default_policy"])
    if "profiling" in members:
        more["profiling"] = members["profiling"].switch()
    if "experiments" in members:
        more["experiments"] = read_experiments(members["experiments"])
    more["rules"] = _rules(members.get("routing_rules"))
    more["device_weights"] = _weights(members.get("backend_weights"))
    more["device_limits"] = _limits(members.get("backend_limits"))
    try:
        return RoutingConfig(**more)
    except ConfigurationError as error:  # each value was right: what is wrong is how experiments go together
        raise members.get("experiments", node).about(error) from None


def to_json(config: RoutingConfig) -> str:
    """The text of a file that is read as this configuration."""
    document = {
        "default_policy": policy_document(config.default_policy),
        "routing_rules": [_rule_document(rule) for rule in config.rules],
        "backend_weights": {device.value: weight for device, weight in config.device_weights.items()},
        "backend_limits": {
            device.value: _without_none(
                max_in_flight=limits.max_in_flight, max_memory_mb=limits.max_memory_mb
            )
            for device, limits in config.device_limits.items()
        },
        "profiling": config.profiling,
        "experiments": [experiment_document(experiment) for experiment in config.experiments],
    }
    return as_json({key: value for key, value in document.items() if value not in ({}, [])})


def _rules(node: JsonNode | None) -> tuple[RoutingRule, ...]:
    return () if node is None else tuple(map(_rule, node.items("a list of rules")))


def _rule(node: JsonNode) -> RoutingRule:
    members = node.members(KEYS_OF_A_RULE, required=("model_name_pattern",))
    pattern = members["model_name_pattern"].text("a pattern of model names, such as resnet*")
    settings: dict[str, Any] = {}
    if "policy" in members:
        settings["policy"] = read_policy(members["policy"])
    if "goal" in members:
        settings["goal"] = members["goal"].one_of(OptimizationGoal)
    if "preferred_backends" in members:
        settings["preferred_devices"] = _devices(members["preferred_backends"])
    if "max_latency_ms" in members:
        settings["max_latency_ms"] = members["max_latency_ms"].above_zero(A_NUMBER_OF_MS)
    if "refuse_late" in members:
        settings["refuse_late"] = members["refuse_late"].switch()
    try:
        return RoutingRule(pattern, RoutingSettings(**settings))
    except ConfigurationError as error:
        raise node.about(error) from None


def _devices(node: JsonNode) -> tuple[Device, ...]:
    items = node.items(f"a list with one or more of {DEVICES} (or leave it out)", empty=False)
    return tuple(item.one_of(Device) for item in items)


def _weights(node: JsonNode | None) -> Mapping[Device, float]:
    return {device: weight.above_zero(A_WEIGHT) for device, weight in _by_device(node).items()}


def _limits(node: JsonNode | None) -> Mapping[Device, DeviceLimits]:
    return {device: _device_limits(limits) for device, limits in _by_device(node).items()}


def _device_limits(node: JsonNode) -> DeviceLimits:
    members = node.members(("max_in_flight", "max_memory_mb"))
    in_flight, memory = members.get("max_in_flight"), members.get("max_memory_mb")
    return DeviceLimits(
        max_in_flight=None if in_flight is None else in_flight.count("a whole number, at least 1"),
        max_memory_mb=None if memory is None else memory.above_zero("a number of megabytes above 0"),
    )


def _by_device(node: JsonNode | None) -> dict[Device, JsonNode]:
    if node is None:
        return {}
    known = [device.value for device in Device]
    return {Device(key): value for key, value in node.members(known).items()}


def _rule_document(rule: RoutingRule) -> dict[str, Any]:
    settings = rule.settings
    return _without_none(
        model_name_pattern=rule.model_name_pattern,
        policy=None if settings.policy is None else policy_document(settings.policy),
        goal=None if settings.goal is None else settings.goal.value,
        preferred_backends=(
            None
            if settings.preferred_devices is None
            else [device.value for device in settings.preferred_devices]
        ),
        max_latency_ms=settings.max_latency_ms,
        refuse_late=settings.refuse_late,
    )


def _without_none(**members: Any) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}
