"""Reads what the router needs to know about a request from its tensors, and creates synthetic tensors."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

from collections.abc import Sequence
from math import prod

import numpy as np
import triton_python_backend_utils as pb_utils

from router_backend.config.load import DECISION_OUTPUT
from router_backend.config.repository import Signature, TensorSpec
from router_backend.errors import InvalidRequestError
from router_backend.runtime.request_options import NO_OPTIONS, RequestOptions
from router_backend.runtime.warmup_plan import BYTES, NOT_IN_NUMPY, synthetic_shape
from router_backend.serving.responses import has_response_parameters


def size_of(inputs: Sequence[pb_utils.Tensor], batched: bool) -> tuple[int, int]:
    """Return the batch size of a request's inputs, and the number of their elements."""
    elements = 0
    batch_size = 1
    for tensor in inputs:
        shape = tensor.shape()
        elements += prod(shape)
        if batched:
            batch_size = shape[0]
    return batch_size, elements


def outputs_of_variant(request: pb_utils.InferenceRequest, output_names: Sequence[str]) -> list[str]:
    """Return the outputs to request from the variant: those of the client, without the router's own."""
    wanted = list(request.requested_output_names())
    if DECISION_OUTPUT.name in wanted:
        wanted.remove(DECISION_OUTPUT.name)
    return wanted or list(output_names)


def check_can_be_explained(options: RequestOptions, request: pb_utils.InferenceRequest) -> None:
    """Reject a request that asks for a decision but excludes the `routing_decision` output.

    Raises:
        InvalidRequestError: the output is excluded, and this Triton has no response parameters.
    """
    if options is NO_OPTIONS or options.explained_by is None or has_response_parameters():
        return
    named = request.requested_output_names()  # all of them, if the client names none
    if DECISION_OUTPUT.name not in named:
        raise InvalidRequestError(
            f"request parameter '{options.explained_by}': expected '{DECISION_OUTPUT.name}' among the "
            f"requested outputs, found {', '.join(sorted(named))}: "
            f"add '{DECISION_OUTPUT.name}' to the requested outputs, or request none by name"
        )


def in_numpy(signature: Signature) -> bool:
    """Return whether the router can make all inputs of a model: numpy has no BF16."""
    return all(tensor.data_type != NOT_IN_NUMPY for tensor in signature.inputs)


def synthetic_inputs(signature: Signature, batch_size: int) -> list[pb_utils.Tensor]:
    """Return inputs that Triton accepts for a model: zeros, empty strings, and 1 for open dimensions."""
    return [_zeros(tensor, synthetic_shape(tensor, signature, batch_size)) for tensor in signature.inputs]


def _zeros(tensor: TensorSpec, shape: tuple[int, ...]) -> pb_utils.Tensor:
    if tensor.data_type == BYTES:
        return pb_utils.Tensor(tensor.name, np.full(shape, b"", dtype=np.object_))
    return pb_utils.Tensor(
        tensor.name, np.zeros(shape, dtype=pb_utils.triton_string_to_numpy(tensor.data_type))
    )
