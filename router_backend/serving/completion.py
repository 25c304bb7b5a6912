"""Completes a router model's configuration from its variants."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import triton_python_backend_utils as pb_utils

from router_backend.config.load import DECISION_OUTPUT
from router_backend.config.repository import Signature


def complete(config: pb_utils.ModelConfig, signature: Signature) -> None:
    """Add the inputs, outputs and batch size that `config` omits, and the output for decisions.

    Args:
        config: the router model's configuration, changed in place.
        signature: what its variants share; it agrees with what `config` declares.
    """
    declared = config.as_dict()
    outputs = {output["name"] for output in declared["output"]}
    if not declared["input"]:
        for tensor in signature.inputs:
            config.add_input(tensor.as_dict())
    if not outputs - {DECISION_OUTPUT.name}:
        for tensor in signature.outputs:
            config.add_output(tensor.as_dict())
    if DECISION_OUTPUT.name not in outputs:
        config.add_output(DECISION_OUTPUT.as_dict())
    if declared["max_batch_size"] == 0:
        config.set_max_batch_size(signature.max_batch_size)
