"""Completes the configuration of a router model from its variants."""

from collections.abc import Mapping
from typing import Any

from router_backend.config.load import DECISION_OUTPUT, RouterSetup
from router_backend.config.repository import CONFIG_FILE
from router_backend.errors import require


def complete(config: dict[str, Any], setup: RouterSetup) -> None:
    """Add what a configuration omits of its variants' signature, and the output for decisions, in place.

    It is in Triton's JSON form, in which every field is there.
    """
    signature = setup.signature
    outputs = config["output"]
    if not config["input"]:
        config["input"] = [tensor.as_dict() for tensor in signature.inputs]
    if all(output["name"] == DECISION_OUTPUT.name for output in outputs):
        outputs += [tensor.as_dict() for tensor in signature.outputs]
    if all(output["name"] != DECISION_OUTPUT.name for output in outputs):
        outputs.append(DECISION_OUTPUT.as_dict())
    if config["max_batch_size"] == 0:
        config["max_batch_size"] = signature.max_batch_size
    for output in outputs:
        if output["name"] in setup.labels and not output.get("label_filename"):
            output["label_filename"] = setup.labels[output["name"]]


def check_completed(config: Mapping[str, Any], setup: RouterSetup) -> None:
    """Reject a configuration without inputs or outputs, with which Triton would accept no request."""
    complete = bool(config.get("input") and config.get("output"))
    expected = "input and output, since this Triton does not complete configurations"
    fix = (
        f"declare them as '{setup.variants[0].name}' does, or start Triton without "
        "--disable-auto-complete-config"
    )
    require(complete, "", expected, "none", where=f"model '{setup.name}', {CONFIG_FILE}", fix=fix)
