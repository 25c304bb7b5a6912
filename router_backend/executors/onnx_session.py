"""ONNX Runtime session that runs on the configured execution provider, without silent fallback to the CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from router_backend.errors import ConfigurationError, InvalidRequestError, RouterError
from router_backend.executors.onnx_contract import TensorSpec
from router_backend.executors.onnx_placement import Placement
from router_backend.executors.onnx_settings import OnnxSettings

Tensors = Mapping[str, npt.NDArray[Any]]
_RUNTIME = f"onnxruntime {onnxruntime.__version__}"

# The errors that ONNX Runtime raises itself; they have no common base class.
_ORT_ERRORS = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NotFound,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
)


class ExecutionError(RouterError):
    """The model failed on valid inputs."""


class OnnxSession:
    """An ONNX file on one execution provider.

    No part of the model runs on the CPU, unless that is the provider or the settings allow it.

    Attributes:
        inputs: its input tensors.
        outputs: its output tensors.
        placement: which providers run its nodes; `None` before onnxruntime 1.24.1, which does not say so.

    Raises:
        ConfigurationError: the file is missing or invalid, or the provider is not available.
    """

    def __init__(self, path: Path, settings: OnnxSettings) -> None:
        _check_provider(settings)
        if not path.is_file():
            fix = "put it there, or name another one with parameter 'onnx_file'"
            raise _broken(path, "an ONNX file", "no such file", fix)
        self._session = _open(path, settings)
        self.inputs = tuple(_spec(each) for each in self._session.get_inputs())
        self.outputs = tuple(_spec(each) for each in self._session.get_outputs())
        self.placement = _placement(self._session, settings)

    def run(self, tensors: Tensors, output_names: Sequence[str]) -> Tensors:
        """Compute the named outputs once; on the CPU, C-contiguous arrays are read in place.

        Raises:
            InvalidRequestError: the tensors do not match the inputs of the model.
            ExecutionError: the provider failed.
        """
        try:
            arrays = self._session.run(list(output_names), dict(tensors))
        except ort_errors.InvalidArgument as error:
            raise InvalidRequestError(f"the inputs do not fit the ONNX model: {error}") from error
        except _ORT_ERRORS as error:
            raise ExecutionError(f"ONNX Runtime could not run the model: {error}") from error
        return dict(zip(output_names, arrays, strict=True))


def _broken(where: object, expected: str, found: str, fix: str = "") -> ConfigurationError:
    return ConfigurationError(where=str(where), expected=expected, found=found, fix=fix)


def _check_provider(settings: OnnxSettings) -> None:
    available, provider = onnxruntime.get_available_providers(), settings.provider
    if provider.name not in available:
        raise _broken(_RUNTIME, provider.name, ", ".join(available), provider.origin)


def _open(path: Path, settings: OnnxSettings) -> Any:
    if settings.cpu_may_run_nodes:
        return _open_with_cpu_fallback(path, settings)
    try:
        return _create(path, settings, strict=True)
    except _ORT_ERRORS as error:
        session = _open_with_cpu_fallback(path, settings)  # raises if the file or the provider is the cause
        expected = f"a model that {settings.provider.name} can run completely"
        found = f"parts that would run on the CPU ({_placement(session, settings) or error})"
        fix = "change the model, or set the parameter 'allow_cpu_nodes' to 'true'"
        raise _broken(path, expected, found, fix) from error


def _open_with_cpu_fallback(path: Path, settings: OnnxSettings) -> Any:
    provider = settings.provider
    try:
        session = _create(path, settings, strict=False)
    except _ORT_ERRORS as error:
        expected = f"an ONNX file that {provider.name} of onnxruntime {onnxruntime.__version__} can load"
        raise _broken(path, expected, str(error)) from error
    if session.get_providers()[0] != provider.name:
        found = f"only {', '.join(session.get_providers())}"
        fix = f"see the server's log for the driver or library that is missing; {provider.origin}"
        raise _broken(_RUNTIME, f"{provider.name} to start", found, fix)
    return session


def _create(path: Path, settings: OnnxSettings, *, strict: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.intra_op_threads
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if strict:
        # get_providers() also lists a provider that runs none of the nodes, so forbid nodes on the CPU.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return onnxruntime.InferenceSession(
        path,
        options,
        providers=[(settings.provider.name, dict(settings.provider_options))],
        enable_fallback=False,  # else, onnxruntime prints a warning and continues on the CPU
    )


def _placement(session: Any, settings: OnnxSettings) -> Placement | None:
    report = getattr(session, "get_provider_graph_assignment_info", None)
    return None if report is None else Placement.of(settings.provider.name, report())


def _spec(node: Any) -> TensorSpec:
    return TensorSpec(
        name=node.name,
        onnx_type=node.type,
        shape=tuple(size if isinstance(size, int) else None for size in node.shape),
    )
