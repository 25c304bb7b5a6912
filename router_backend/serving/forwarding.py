"""Forwards a request to a variant, unchanged, by Business Logic Scripting."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

from collections.abc import Sequence

import triton_python_backend_utils as pb_utils

from router_backend.runtime.request_options import ParameterValue


class Forwarder:
    """One request, to be forwarded to the chosen variant, and to others after a failure.

    The input tensors are passed on without a copy, with the request's ID, sequence, timeout and trace, and
    with the parameters that are not the router's.
    """

    __slots__ = ("_request", "inputs", "output_names", "parameters")

    def __init__(
        self,
        request: pb_utils.InferenceRequest,
        inputs: Sequence[pb_utils.Tensor],
        output_names: Sequence[str],
        parameters: dict[str, ParameterValue],
    ) -> None:
        self._request = request
        self.inputs = inputs
        self.output_names = output_names
        self.parameters = parameters

    def call(self, variant: str) -> pb_utils.InferenceResponse:
        """Call a variant and return its answer, which may be an error."""
        request = self._request
        return pb_utils.InferenceRequest(
            model_name=variant,
            inputs=self.inputs,
            requested_output_names=self.output_names,
            request_id=request.request_id(),
            correlation_id=request.correlation_id(),
            flags=request.flags(),
            timeout=request.timeout(),
            trace=request.trace(),
            parameters=self.parameters,
        ).exec()
