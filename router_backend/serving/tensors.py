"""Reads what the router needs to know about a request from its tensors, and creates synthetic tensors."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import triton_python_backend_utils as pb_utils

from router_backend.config.load import DECISION_OUTPUT
from router_backend.config.repository import Signature, TensorSpec
from router_backend.core.records.request import RoutingContext
from router_backend.errors import InvalidRequestError
from router_backend.runtime.request_options import NO_OPTIONS, RequestOptions
from router_backend.serving.responses import has_response_parameters


def context_of(inputs: Sequence[pb_utils.Tensor], batched: bool) -> RoutingContext:
    """Return what the shapes of a request's inputs say about it."""
    elements = 0
    batch_size = 1
    for tensor in inputs:
        shape = tensor.shape()
        elements += prod(shape)
        if batched:
            batch_size = shape[0]
    return RoutingContext(batch_size, elements)


def context_of_request(
    request: pb_utils.InferenceRequest,
    inputs: Sequence[pb_utils.Tensor],
    options: RequestOptions,
    batched: bool,
    unit_matters: bool,
) -> RoutingContext:
    """Return what is known about a client's request: its size and options, and its unit for experiments."""
    context = context_of(inputs, batched)
    if unit_matters:
        context.unit = options.sticky_key or str(request.correlation_id() or "") or request.request_id()
    context.max_latency_ms = options.max_latency_ms
    return replace(context, **options.context) if options.context else context


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
    return all(tensor.data_type != "TYPE_BF16" for tensor in signature.inputs)


def synthetic_inputs(signature: Signature, batch_size: int) -> list[pb_utils.Tensor]:
    """Return inputs that Triton accepts for a model: zeros, empty strings, and 1 for open dimensions."""
    batch = [batch_size] if signature.max_batch_size > 0 else []
    return [_zeros(tensor, batch) for tensor in signature.inputs]


def _zeros(tensor: TensorSpec, batch: list[int]) -> pb_utils.Tensor:
    shape = [*batch, *(max(dim, 1) for dim in tensor.dims)]
    if tensor.data_type == "TYPE_STRING":
        return pb_utils.Tensor(tensor.name, np.full(shape, b"", dtype=np.object_))
    return pb_utils.Tensor(
        tensor.name, np.zeros(shape, dtype=pb_utils.triton_string_to_numpy(tensor.data_type))
    )
