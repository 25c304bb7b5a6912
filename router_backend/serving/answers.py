"""Judges what variants answer."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

from collections.abc import Collection, Iterator, Sequence

import triton_python_backend_utils as pb_utils

from router_backend.core.dispatch import Attempt
from router_backend.runtime.error_classifier import Failure
from router_backend.runtime.expected_answer import Answered
from router_backend.runtime.router_model import RouterModel
from router_backend.serving.responses import failure_of

TYPE_OF_NUMPY = {
    "|b1": "BOOL",
    "|u1": "UINT8",
    "<u2": "UINT16",
    "<u4": "UINT32",
    "<u8": "UINT64",
    "|i1": "INT8",
    "<i2": "INT16",
    "<i4": "INT32",
    "<i8": "INT64",
    "<f2": "FP16",
    "<f4": "FP32",
    "<f8": "FP64",
    "|O": "BYTES",
}
"""Triton's types by numpy's codes."""


class Answers:
    """Tells the answers of the variants of one router model from their failures."""

    def __init__(self, model: RouterModel) -> None:
        self._errors = model.errors
        self._expected = model.expected_answer

    def failure_of(
        self, response: pb_utils.InferenceResponse, attempt: Attempt, wanted: Collection[str]
    ) -> Failure | None:
        """Return how an attempt failed that asked for the outputs `wanted`; `None` if the answer is right."""
        failure = failure_of(response, attempt.variant, self._errors)
        if failure is not None:
            return failure
        batch_size = attempt.decision.context.batch_size
        return self._expected.failure_of(_described(response.output_tensors()), wanted, batch_size)


def _described(tensors: Sequence[pb_utils.Tensor]) -> Iterator[Answered]:
    for tensor in tensors:
        yield tensor.name(), _type_of(tensor), tensor.shape()


def _type_of(tensor: pb_utils.Tensor) -> str:
    """Return the type of a tensor; empty for one in the memory of a GPU.

    Python cannot read what its `triton_dtype` returns (Triton 24.10). Its array is there anyway, as a view.
    """
    if not tensor.is_cpu():
        return ""
    try:
        return TYPE_OF_NUMPY[tensor.as_numpy().dtype.str]
    except pb_utils.TritonModelException:  # numpy does not have the one type that is left
        return "BF16"
