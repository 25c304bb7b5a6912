"""Sends requests of the router's own to variants, to learn from them."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import time
from collections.abc import Sequence

import triton_python_backend_utils as pb_utils

from router_backend.core.dispatch import Dispatch
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.request_options import ParameterValue
from router_backend.serving.answers import Answers


def measure(
    dispatch: Dispatch,
    inputs: Sequence[pb_utils.Tensor],
    parameters: dict[str, ParameterValue],
    output_names: Sequence[str],
    answers: Answers,
    readiness: Readiness,
) -> None:
    """Send a request that may only go to one variant, and report how it ended.

    Raises:
        NoVariantError: the variant cannot take requests now.
        InvalidRequestError: the variant rejected it.
        VariantsFailedError: the variant failed.
    """
    for attempt in dispatch:
        sent_s = time.monotonic()
        response = pb_utils.InferenceRequest(
            model_name=attempt.variant,
            inputs=inputs,
            requested_output_names=output_names,
            parameters=parameters,
        ).exec()
        latency_ms = (time.monotonic() - sent_s) * 1e3
        failure = answers.failure_of(response, attempt, output_names)
        if failure is None:
            attempt.succeeded(latency_ms)
        else:
            attempt.failed(*failure)
            readiness.failed(attempt)
