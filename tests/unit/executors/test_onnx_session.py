"""With the installed onnxruntime, whose wheel has the CPU provider and the Azure provider."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from router_backend.errors import ConfigurationError, InvalidRequestError
from router_backend.executors.onnx_contract import TensorSpec
from router_backend.executors.onnx_session import OnnxSession
from router_backend.executors.onnx_settings import OnnxSettings
from router_backend.executors.providers import CORE_ML, CPU, Provider
from tests.onnx_models import write_doubler, write_lookup

ON_CPU = OnnxSettings(CPU, {})
# A provider that is always available and lists itself in get_providers(), yet runs no ordinary node.
IDLE = Provider("AzureExecutionProvider", devices=frozenset(), options={}, origin="install it")
needs_idle_provider = pytest.mark.skipif(
    IDLE.name not in onnxruntime.get_available_providers(), reason="this onnxruntime has no Azure provider"
)

(SESSION,) = onnxruntime.InferenceSession.__bases__
REPORT = "get_provider_graph_assignment_info"
needs_report = pytest.mark.skipif(
    not hasattr(SESSION, REPORT), reason="this onnxruntime does not say where nodes run"
)


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    return write_doubler(tmp_path / "model.onnx")


def refusal(path: Path, settings: OnnxSettings) -> str:
    with pytest.raises(ConfigurationError) as refused:
        OnnxSession(path, settings)
    return str(refused.value)


def test_the_model_runs(doubler: Path) -> None:
    x = np.ones((3, 2), dtype=np.float32)
    outputs = OnnxSession(doubler, ON_CPU).run({"x": x}, ["y"])
    assert outputs.keys() == {"y"}
    np.testing.assert_array_equal(outputs["y"], 2 * x)


def test_only_the_requested_outputs_are_computed(tmp_path: Path) -> None:
    session = OnnxSession(write_lookup(tmp_path / "model.onnx"), ON_CPU)
    assert session.run({"index": np.array([[2]])}, ["size"]).keys() == {"size"}


def test_a_session_lists_its_tensors(doubler: Path) -> None:
    session = OnnxSession(doubler, ON_CPU)
    assert session.inputs == (TensorSpec("x", "tensor(float)", (None, None)),)
    assert session.outputs == (TensorSpec("y", "tensor(float)", (None, None)),)


def test_mismatched_tensors_are_an_invalid_request(doubler: Path) -> None:
    session = OnnxSession(doubler, ON_CPU)
    with pytest.raises(InvalidRequestError, match=r"the inputs do not fit the ONNX model.*expected.*float"):
        session.run({"x": np.ones((1, 1), dtype=np.int64)}, ["y"])


def test_a_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "1" / "model.onnx"
    assert refusal(path, ON_CPU) == (
        f"{path}: expected an ONNX file, found no such file; put it there, or name another one with "
        "parameter 'onnx_file'"
    )


def test_an_invalid_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not an ONNX file")
    assert refusal(path, ON_CPU).startswith(f"{path}: expected an ONNX file that CPUExecutionProvider of")


@pytest.mark.skipif(CORE_ML.name in onnxruntime.get_available_providers(), reason="this is a Mac")
def test_an_unavailable_provider_is_refused_before_the_file_is_opened(
    tmp_path: Path,
) -> None:
    available = ", ".join(onnxruntime.get_available_providers())
    assert refusal(tmp_path / "none.onnx", OnnxSettings(CORE_ML, {})) == (
        f"onnxruntime {onnxruntime.__version__}: expected CoreMLExecutionProvider, found {available}; "
        f"only onnxruntime for macOS has it, so run this model on a Mac and forward to "
        "it from here"
    )


@needs_report
@needs_idle_provider
def test_a_provider_that_leaves_nodes_to_the_cpu_is_refused(doubler: Path) -> None:
    message = refusal(doubler, OnnxSettings(IDLE, {}))
    assert message == (
        f"{doubler}: expected a model that AzureExecutionProvider can run completely, found parts that would "
        "run on the CPU (AzureExecutionProvider runs 0 of 1 nodes; CPUExecutionProvider runs Add ×1); change "
        "the model, or set the parameter 'allow_cpu_nodes' to 'true'"
    )


@needs_idle_provider
def test_nodes_run_on_the_cpu_if_the_settings_allow_it(doubler: Path) -> None:
    session = OnnxSession(doubler, OnnxSettings(IDLE, {}, allow_cpu_nodes=True))
    assert session.run({"x": np.ones((1, 1), dtype=np.float32)}, ["y"])["y"] == 2


@needs_report
@needs_idle_provider
def test_a_session_says_where_its_nodes_run(doubler: Path) -> None:
    placement = OnnxSession(doubler, OnnxSettings(IDLE, {}, allow_cpu_nodes=True)).placement
    assert placement is not None
    assert not placement.is_complete
    assert str(OnnxSession(doubler, ON_CPU).placement) == "CPUExecutionProvider runs 1 of 1 nodes"


@needs_idle_provider
def test_an_older_onnx_runtime_does_not_say_it(doubler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(SESSION, REPORT, raising=False)
    assert OnnxSession(doubler, ON_CPU).placement is None
    assert "run on the CPU (" in refusal(doubler, OnnxSettings(IDLE, {}))


@pytest.mark.parametrize("allow_cpu_nodes", [False, True])
def test_a_provider_that_does_not_start_is_refused_even_if_cpu_nodes_are_allowed(
    doubler: Path, monkeypatch: pytest.MonkeyPatch, allow_cpu_nodes: bool
) -> None:
    """Without a GPU, onnxruntime-gpu lists CUDA, fails to start it, and continues on the CPU."""
    lost = Provider("CUDAExecutionProvider", devices=frozenset(), options={}, origin="install it")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [lost.name, CPU.name])
    with pytest.warns(UserWarning, match="'CUDAExecutionProvider' is not in available provider names"):
        message = refusal(doubler, OnnxSettings(lost, {}, allow_cpu_nodes=allow_cpu_nodes))
    assert message == (
        f"onnxruntime {onnxruntime.__version__}: expected CUDAExecutionProvider to start, found only "
        "CPUExecutionProvider; see the server's log for the driver or library that is missing; install it"
    )
