"""Sends copies of answered requests to variants that should be measured; no client waits for them."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import triton_python_backend_utils as pb_utils

from router_backend.core.dispatch import Dispatch
from router_backend.errors import DEFECTS, RouterError
from router_backend.runtime.request_options import ParameterValue
from router_backend.serving.measuring import Measuring
from router_backend.serving.responses import triton_log


class Copy(NamedTuple):
    """A copy of an answered request: the variant is chosen when it is sent."""

    dispatch: Dispatch
    inputs: Sequence[pb_utils.Tensor]
    parameters: dict[str, ParameterValue]


class Copies:
    """The copies that wait to be sent, usually none.

    Requests of a sequence are not copied, since a variant with a state would count them twice.
    """

    def __init__(self, measuring: Measuring) -> None:
        self._measuring = measuring
        self._waiting: deque[Copy] = deque()

    @property
    def waiting(self) -> bool:
        """Whether there are copies to send."""
        return bool(self._waiting)

    def offer(
        self,
        dispatch: Dispatch,
        request: pb_utils.InferenceRequest,
        inputs: Sequence[pb_utils.Tensor],
        parameters: dict[str, ParameterValue],
    ) -> None:
        """Keep a copy of an answered request for the next `run`, if the router wants to learn from one."""
        if dispatch.wants_copy and not request.correlation_id():
            copy = dispatch.copy()
            if copy is not None:
                self._waiting.append(Copy(copy, inputs, parameters))

    def run(self) -> None:
        """Send what waits. What a copy fails by says nothing: the client has its answer."""
        while self._waiting:
            dispatch, inputs, parameters = self._waiting.popleft()
            try:
                self._measuring.measure(dispatch, inputs, parameters)
            except RouterError:
                continue
            except DEFECTS as defect:  # a policy that cannot score must not end this thread
                triton_log().defect(defect)
