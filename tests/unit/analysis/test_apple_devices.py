"""Which models fit a Neural Engine and MPS, by the published list of ONNX Runtime's CoreML provider."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from router_backend.analysis.onnx_analysis import analyze_onnx
from router_backend.core.records.variant import Device
from router_backend.core.variants.device_fit import fit
from tests.onnx_models import constant, floats

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
APPLE = (Device.NEURAL_ENGINE, Device.MPS)


def reasons(path: Path) -> list[str | None]:
    return [fit(analyze_onnx(path), device).reason_out for device in APPLE]


def write(path: Path, node: Any, inputs: list[Any], output: Any, constants: list[Any]) -> Path:
    graph = helper.make_graph([node], "g", inputs, [output], initializer=constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return path


def ones(name: str, *shape: int) -> Any:
    return constant(name, np.ones(shape), np.float32)


def microsoft(operator: str, *inputs: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs, ["y"], domain="com.microsoft", **attributes)


@pytest.mark.parametrize(
    ("node", "macs"),
    [
        (helper.make_node("Sum", ["x", "x"], ["y"]), 0),
        (microsoft("QuickGelu", "x", alpha=1.7), 0),
        (microsoft("FusedConv", "x", "w", activation="Relu"), 6 * 6 * 3 * 3 * 3 * 3),
    ],
    ids=lambda value: getattr(value, "op_type", None),
)
def test_operators_of_the_list_are_accepted_and_their_shapes_are_known(
    tmp_path: Path, node: Any, macs: int
) -> None:
    side = 6 if macs else 8
    path = write(
        tmp_path / "m.onnx",
        node,
        [floats("x", "n", 3, 8, 8)],
        floats("y", "n", 3, side, side),
        [ones("w", 3, 3, 3, 3)],
    )
    model = analyze_onnx(path)
    assert reasons(path) == [None, None]
    assert (model.macs, model.activation_bytes) == (macs, 4 * 3 * side * side)


def test_resnet_50_is_the_same_work_after_the_fusions_of_onnx_runtime(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3
    plain = LIGHT / "light_resnet50.onnx"
    onnxruntime.InferenceSession(plain, options, providers=["CPUExecutionProvider"])
    fused = analyze_onnx(tmp_path / "fused.onnx")
    assert fused.operators["com.microsoft.FusedConv"] == 33
    assert fused.operators["Sum"] == 16
    assert fused.macs == analyze_onnx(plain).macs
    assert (fused.activation_bytes or 0) < (analyze_onnx(plain).activation_bytes or 0)
    assert reasons(tmp_path / "fused.onnx") == reasons(plain) == [None, None]


def layer(operator: str, dimensions: int) -> tuple[Any, int]:
    """Return a layer over this many dimensions, and the size of each at its output."""
    attributes = {} if operator.startswith("Global") else {"kernel_shape": [3] * dimensions}
    inputs = ["x", "w"] if operator.startswith("Conv") else ["x"]
    node = helper.make_node(operator, inputs, ["y"], **attributes)
    return node, {"ConvTranspose": 8, "GlobalMaxPool": 1, "GlobalAveragePool": 1}.get(operator, 4)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize(
    "operator", ["Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"]
)
def test_layers_over_three_dimensions_do_not_run_there(
    tmp_path: Path, operator: str, dimensions: int
) -> None:
    node, side = layer(operator, dimensions)
    path = write(
        tmp_path / "m.onnx",
        node,
        [floats("x", "n", 2, *[6] * dimensions)],
        floats("y", "n", 2, *[side] * dimensions),
        [ones("w", 2, 2, *[3] * dimensions)],
    )
    model = analyze_onnx(path)
    assert model.spatial_dimensions == dimensions
    assert fit(model, Device.GPU).reason_out is None
    assert reasons(path) == [
        f"the model's layers have 3 dimensions, {device.value} can run 2" if dimensions == 3 else None
        for device in APPLE
    ]
