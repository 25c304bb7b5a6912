"""Reads and writes what names a policy in `routing.json`."""

from typing import Any

from router_backend.config.json_node import JsonNode
from router_backend.config.routing_config import PolicyChoice
from router_backend.errors import ConfigurationError


def read_policy(node: JsonNode) -> PolicyChoice:
    """A policy with its own settings.

    Raises:
        ConfigurationError: it is not as it must be, or no policy has that name or takes these settings.
    """
    members = node.members(("name", "parameters"), required=("name",))
    name = members["name"].text("the name of a policy")
    parameters = members["parameters"].entries() if "parameters" in members else {}
    texts = {key: value.text('text, such as "0.3"') for key, value in parameters.items()}
    try:
        return PolicyChoice(name, texts)
    except ConfigurationError as error:
        raise node.about(error) from None


def policy_document(policy: PolicyChoice) -> dict[str, Any]:
    """What is read as this policy."""
    parameters = {"parameters": dict(policy.parameters)} if policy.parameters else {}
    return {"name": policy.name, **parameters}
