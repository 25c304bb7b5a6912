"""Judges what variants answer."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import triton_python_backend_utils as pb_utils

from router_backend.core.dispatch import Attempt
from router_backend.runtime.error_classifier import Failure
from router_backend.runtime.expected_answer import Answered
from router_backend.runtime.router_model import RouterModel
from router_backend.serving.responses import failure_of

TYPE_OF_NUMPY = {
    np.dtype(kind).num: name
    for kind, name in (
        (np.bool_, "BOOL"),
        (np.uint8, "UINT8"),
        (np.uint16, "UINT16"),
        (np.uint32, "UINT32"),
        (np.uint64, "UINT64"),
        (np.int8, "INT8"),
        (np.int16, "INT16"),
        (np.int32, "INT32"),
        (np.int64, "INT64"),
        (np.float16, "FP16"),
        (np.float32, "FP32"),
        (np.float64, "FP64"),
        (np.object_, "BYTES"),
    )
}
"""Triton's types by the number of numpy's type, which is the fastest of its properties."""


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
    """Return name, type and dimensions of tensors; the type is empty for one in the memory of a GPU.

    Python cannot read what `triton_dtype` returns (Triton 24.10). The array of a tensor is there anyway, as a
    view, and each call of Triton's API takes longer than a property of it.
    """
    for tensor in tensors:
        try:
            array = tensor.as_numpy()
        except pb_utils.TritonModelException:  # it is on a GPU, or of the one type that numpy does not have
            yield tensor.name(), "BF16" if tensor.is_cpu() else "", tensor.shape()
        else:
            yield tensor.name(), TYPE_OF_NUMPY[array.dtype.num], array.shape
