"""From Triton's tensors to what the router wants to know of a request, and tensors that are made up."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

from collections.abc import Sequence
from math import prod

import numpy as np
import triton_python_backend_utils as pb_utils

from router_backend.config.signature import Signature, TensorSpec
from router_backend.core.records.request import RoutingContext


def context_of(inputs: Sequence[pb_utils.Tensor], batched: bool) -> RoutingContext:
    """A request's size, from the shapes of its inputs alone.

    Args:
        inputs: its input tensors.
        batched: whether their first dimension is the batch.
    """
    elements = 0
    batch_size = 1
    for tensor in inputs:
        shape = tensor.shape()
        elements += prod(shape)
        if batched:
            batch_size = shape[0]
    return RoutingContext(batch_size, elements)


def made_up_inputs(signature: Signature, batch_size: int) -> list[pb_utils.Tensor]:
    """Inputs that Triton takes for a model: zeros, empty strings, and 1 where a dimension varies."""
    batch = [batch_size] if signature.max_batch_size > 0 else []
    return [_zeros(tensor, batch) for tensor in signature.inputs]


def _zeros(tensor: TensorSpec, batch: list[int]) -> pb_utils.Tensor:
    shape = [*batch, *(max(dim, 1) for dim in tensor.dims)]
    if tensor.data_type == "TYPE_STRING":
        return pb_utils.Tensor(tensor.name, np.full(shape, b"", dtype=np.object_))
    return pb_utils.Tensor(
        tensor.name, np.zeros(shape, dtype=pb_utils.triton_string_to_numpy(tensor.data_type))
    )
