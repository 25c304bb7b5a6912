"""Executor for models of other servers: another Triton, MLServer on a Mac, KServe.

A variant is a folder with a config.pbtxt that contains `backend: "python"` and the other server's `url`, and
a `1/model.py` that imports `TritonPythonModel` from this module.
"""

from __future__ import annotations  # Triton's API lacks request types while it completes a configuration

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import triton_python_backend_utils as pb_utils

from router_backend.errors import DEFECTS, ConfigurationError
from router_backend.executors.buffers import keep_large_buffers
from router_backend.executors.remote_health import RemoteHealth, mismatch
from router_backend.executors.remote_server import Arrays, Call, RemoteError, open_model
from router_backend.executors.remote_settings import parse_settings
from router_backend.executors.responses import error_response


class TritonPythonModel:
    """One instance of a remote variant: it forwards requests, and has any number of them in flight.

    It is loaded even if the other server is away: requests are then refused at once, until it is back.
    """

    def initialize(self, args: dict[str, str]) -> None:
        """Connect to the other server.

        Raises:
            TritonModelException: the parameters, or the files that they name, are invalid.
        """
        self._name = args["model_name"]
        config = json.loads(args["model_config"])
        parameters = {key: entry["string_value"] for key, entry in config["parameters"].items()}
        try:
            settings = parse_settings(parameters, self._name)
            self._remote = open_model(settings)
        except ConfigurationError as error:
            raise pb_utils.TritonModelException(f"model '{self._name}': {error}") from None
        said = settings.parameters
        self._url, self._timeout_s = said.url, said.answer_within_ms / 1e3
        self._health = RemoteHealth(
            self._remote, partial(mismatch, config), said.health_interval_ms / 1e3, self._log_change
        )
        keep_large_buffers()
        self._health.start()

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> None:
        """Forward requests; the answers are sent when they are there."""
        for request in requests:
            self._forward(request, request.get_response_sender())

    def finalize(self) -> None:
        """Close the connection, after the last answer."""
        self._health.stop()
        self._remote.close()

    def _forward(self, request: pb_utils.InferenceRequest, sender: pb_utils.InferenceResponseSender) -> None:
        if self._health.away:
            self._settle(sender, RemoteError(f"{self._url} is away: {self._away()}"))
            return
        try:
            call = self._call(request)
        except pb_utils.TritonModelException as error:  # an input that numpy cannot hold
            self._settle(sender, RemoteError(str(error), "UNIMPLEMENTED"))
        else:
            self._remote.send(call, partial(self._settle, sender))

    def _call(self, request: pb_utils.InferenceRequest) -> Call:
        timeout_us = request.timeout()
        return Call(
            {tensor.name(): tensor.as_numpy() for tensor in request.inputs()},
            request.requested_output_names(),
            min(self._timeout_s, timeout_us / 1e6) if timeout_us else self._timeout_s,
            _options(request),
        )

    def _settle(self, sender: pb_utils.InferenceResponseSender, answer: Arrays | RemoteError) -> None:
        response = self._response(answer)
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _response(self, answer: Arrays | RemoteError) -> pb_utils.InferenceResponse:
        if isinstance(answer, RemoteError):
            if not self._health.away:  # it is away, or has another model
                self._health.look_now()
            return error_response(answer)
        try:
            return pb_utils.InferenceResponse([pb_utils.Tensor(*output) for output in answer.items()])
        except DEFECTS as error:  # Triton's, about an array that it cannot take
            return error_response(RemoteError(f"{self._url}: an output that Triton cannot take: {error}"))

    def _away(self) -> str:
        return self._health.away.removeprefix(f"{self._url}: ")

    def _log_change(self) -> None:
        if self._health.away:
            pb_utils.Logger.log_warn(f"model '{self._name}': {self._url} is away: {self._away()}")
        else:
            pb_utils.Logger.log_info(f"model '{self._name}': {self._url} is back")


def _options(request: pb_utils.InferenceRequest) -> dict[str, Any]:
    """Return what a request carries besides its tensors, as arguments of tritonclient's `infer`."""
    options: dict[str, Any] = {"request_id": request.request_id()}
    parameters = json.loads(request.parameters())
    if parameters:
        options["parameters"] = parameters
    correlation_id = request.correlation_id()
    if correlation_id:
        flags = request.flags()
        options["sequence_id"] = correlation_id
        options["sequence_start"] = bool(flags & pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START)
        options["sequence_end"] = bool(flags & pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END)
    return options
