"""Executor for ONNX files in Triton's Python backend, configured in the model's config.pbtxt.

A variant is a folder with a config.pbtxt that contains `backend: "python"`, the ONNX file as `1/model.onnx`,
and a `1/model.py` that imports `TritonPythonModel` from this module.
"""

from __future__ import annotations  # Triton's API lacks request types while it completes a configuration

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from router_backend.errors import ConfigurationError, RouterError
from router_backend.executors.batching import Outcome, run_each, run_joined
from router_backend.executors.onnx_contract import check_tensors
from router_backend.executors.onnx_session import OnnxSession, Tensors
from router_backend.executors.onnx_settings import OnnxSettings, parse_settings
from router_backend.executors.responses import error_response


class TritonPythonModel:
    """One instance of a variant: an ONNX Runtime session behind Triton's API."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the ONNX file.

        Raises:
            TritonModelException: the parameters, the file, the provider or the tensors are invalid.
        """
        config = json.loads(args["model_config"])
        version_folder = Path(args["model_repository"]) / args["model_version"]
        try:
            self._session = _open_session(config, _settings(config, args), version_folder)
        except ConfigurationError as error:
            raise pb_utils.TritonModelException(f"model '{args['model_name']}': {error}") from None
        self._log_placement(args["model_name"])
        self._outputs = [output["name"] for output in config["output"]]
        self._run_all = run_joined if config["max_batch_size"] > 0 else run_each

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer requests; those with compatible inputs are run as one batch."""
        outcomes = self._run_all(self._run, [_inputs(request) for request in requests])
        return [_response(request, outcome) for request, outcome in zip(requests, outcomes, strict=True)]

    def _log_placement(self, model: str) -> None:
        placement = self._session.placement
        if placement is not None:
            log = pb_utils.Logger.log_info if placement.is_complete else pb_utils.Logger.log_warn
            log(f"model '{model}': {placement}")

    def _run(self, tensors: Tensors) -> Tensors:
        return self._session.run(tensors, self._outputs)


def _settings(config: Mapping[str, Any], args: Mapping[str, str]) -> OnnxSettings:
    parameters = {key: entry["string_value"] for key, entry in config["parameters"].items()}
    # Triton starts one instance for each GPU and passes the index of the GPU.
    gpu_index = args["model_instance_device_id"] if args["model_instance_kind"] == "GPU" else None
    return parse_settings(parameters, gpu_index)


def _open_session(config: Mapping[str, Any], settings: OnnxSettings, version_folder: Path) -> OnnxSession:
    session = OnnxSession(version_folder / settings.onnx_file, settings)
    check_tensors("input", config["input"], session.inputs, config["max_batch_size"])
    check_tensors("output", config["output"], session.outputs, config["max_batch_size"])
    return session


def _inputs(request: pb_utils.InferenceRequest) -> Tensors:
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def _response(request: pb_utils.InferenceRequest, outcome: Outcome) -> pb_utils.InferenceResponse:
    if isinstance(outcome, RouterError):
        return error_response(outcome)
    wanted = request.requested_output_names()
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, outcome[name]) for name in wanted])
