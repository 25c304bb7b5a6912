"""Quantized models as ONNX Runtime's tools make them: what they store, hold in memory and compute."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

from router_backend.analysis.onnx_analysis import analyze_onnx
from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from router_backend.core.records.variant import Device
from router_backend.core.variants.device_fit import fit
from router_tools.demo.architecture import SQUEEZENET
from router_tools.demo.graph import INPUT_NAME, servable
from router_tools.demo.images import random_images
from router_tools.demo.int8 import quantise
from router_tools.demo.weights import fill_with_random_weights
from tests.onnx_models import constant, floats

MICROSOFT = "com.microsoft"


class Images:
    """One image, as `quantize_static` asks for it."""

    def __init__(self) -> None:
        self._left = [{INPUT_NAME: random_images(1, seed=1)}]

    def get_next(self) -> dict[str, Any] | None:
        return self._left.pop() if self._left else None


@pytest.fixture(scope="module")
def squeezenets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return SqueezeNet in fp32, and in int8 as the demo makes it and with integer operators."""
    folder = tmp_path_factory.mktemp("squeezenet")
    paths = {name: folder / f"{name}.onnx" for name in ("fp32", "qdq", "qlinear")}
    model = servable(onnx.load(SQUEEZENET.path), "squeezenet")
    fill_with_random_weights(model, seed=1)
    onnx.save(model, paths["fp32"])
    quantise(paths["fp32"], paths["qdq"], random_images(1, seed=1))
    quantize_static(
        paths["fp32"],
        paths["qlinear"],
        Images(),
        quant_format=QuantFormat.QOperator,
        weight_type=QuantType.QInt8,
    )
    return paths


def latency_ms(model: ModelCharacteristics) -> float:
    prior = fit(model, Device.CPU)
    return (prior.fixed_ms or 0.0) + (prior.per_item_ms or 0.0)


def optimized(path: Path, target: Path, level: str = "ORT_ENABLE_EXTENDED") -> onnx.ModelProto:
    """Return the graph that ONNX Runtime runs on a CPU, written to `target`."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(target)
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return onnx.load(target)


@pytest.mark.parametrize("kind", ["qdq", "qlinear"])
def test_squeezenet_in_int8_is_the_same_network_and_predicted_to_be_faster(
    squeezenets: dict[str, Path], kind: str
) -> None:
    fp32, int8 = analyze_onnx(squeezenets["fp32"]), analyze_onnx(squeezenets[kind])
    assert (int8.parameter_count, int8.macs) == (fp32.parameter_count, fp32.macs)
    assert int8.parameter_bytes < 0.3 * fp32.parameter_bytes
    assert 0.1 * (fp32.activation_bytes or 0) < (int8.activation_bytes or 0)
    assert (int8.activation_bytes or 0) < 0.25 * (fp32.activation_bytes or 0)  # Relu is part of the rounding
    assert latency_ms(int8) < 0.6 * latency_ms(fp32)
    assert Quantization.INT8_WEIGHTS in int8.quantization
    assert (Quantization.QLINEAR in int8.quantization) == (kind == "qlinear")


def test_the_activations_of_a_qdq_model_are_those_of_the_graph_that_onnx_runtime_makes_of_it(
    squeezenets: dict[str, Path], tmp_path: Path
) -> None:
    """It fuses the pairs of quantization into integer operators, whose results are 8-bit numbers."""
    fused = tmp_path / "fused.onnx"
    left = Counter(node.op_type for node in optimized(squeezenets["qdq"], fused).graph.node)
    assert left["QLinearConv"] == 26
    assert left["QuantizeLinear"] + left["DequantizeLinear"] <= 3
    found, expected = analyze_onnx(squeezenets["qdq"]), analyze_onnx(fused)
    assert found.macs == expected.macs
    assert found.activation_bytes == pytest.approx(expected.activation_bytes, rel=0.1)


def write(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any], opset: int = 17
) -> Path:
    """Write a model that ONNX Runtime can run."""
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=constants)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return path


def weight_only(path: Path, dtype: Any, opset: int = 17) -> Path:
    """Write a product with weights of 64 x 16 that are stored in fewer bits and converted."""
    stored = helper.make_tensor("q", dtype, [64, 16], np.ones(64 * 16, np.int8))
    zero = helper.make_tensor("z", dtype, [16], np.zeros(16, np.int8))
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["u"]),
        helper.make_node("Relu", ["u"], ["y"]),
    ]
    constants = [stored, constant("s", np.ones(16), np.float32), zero]
    return write(path, nodes, [floats("x", "n", 64)], [floats("y", "n", 16)], constants, opset)


@pytest.mark.parametrize(
    ("dtype", "opset", "kind", "bits"),
    [
        (TensorProto.INT8, 17, Quantization.INT8_WEIGHTS, 8),
        (TensorProto.UINT8, 17, Quantization.INT8_WEIGHTS, 8),
        (TensorProto.INT4, 21, Quantization.INT4_WEIGHTS, 4),
    ],
)
def test_weights_that_are_converted_before_use_are_no_activations_and_no_integer_work(
    tmp_path: Path, dtype: int, opset: int, kind: Quantization, bits: int
) -> None:
    model = analyze_onnx(weight_only(tmp_path / "m.onnx", dtype, opset))
    assert model.quantization == {kind}
    assert (model.parameter_count, model.macs) == (64 * 16, 64 * 16)
    scales_and_zero_points = 16 * 4 + 16 * bits // 8
    assert model.parameter_bytes == 64 * 16 * bits // 8 + scales_and_zero_points
    assert model.activation_bytes == 2 * 16 * 4


def packed(path: Path, bits: int = 4) -> Path:
    """Write a chain of two products with packed weights of 64 x 16 and 16 x 64, blocks of 16."""
    nodes, constants = [], []
    for index, (rows, columns) in enumerate(((64, 16), (16, 64))):
        blocks = rows // 16
        weight = constant(f"q{index}", np.ones((columns, blocks, 16 * bits // 8)), np.uint8)
        constants += [weight, constant(f"s{index}", np.ones(columns * blocks), np.float32)]
        node = helper.make_node(
            "MatMulNBits",
            [f"v{index}", f"q{index}", f"s{index}"],
            [f"v{index + 1}"],
            domain=MICROSOFT,
            K=rows,
            N=columns,
            bits=bits,
            block_size=16,
        )
        nodes.append(node)
    return write(path, nodes, [floats("v0", "n", 5, 64)], [floats("v2", "n", 5, 64)], constants)


@pytest.mark.parametrize(("bits", "kind"), [(4, Quantization.INT4_WEIGHTS), (8, Quantization.INT8_WEIGHTS)])
def test_packed_weights_count_as_the_weights_that_they_hold(
    tmp_path: Path, bits: int, kind: Quantization
) -> None:
    """The shape between the two products follows from the first one's attributes."""
    model = analyze_onnx(packed(tmp_path / "m.onnx", bits))
    assert model.parameter_count == 2 * 64 * 16
    assert model.parameter_bytes == 2 * (64 * 16 * bits // 8 + 64 * 4)
    assert model.macs == 2 * 5 * 64 * 16
    assert model.activation_bytes == 4 * 5 * (16 + 64)
    assert model.quantization == {kind}
    assert latency_ms(model) > 0.0


@pytest.mark.skipif(onnxruntime.__version__.startswith("1.23."), reason="ONNX Runtime 1.23 makes none")
def test_the_packed_weights_that_onnx_runtime_makes_of_converted_ones_are_the_same_model(
    tmp_path: Path,
) -> None:
    source = weight_only(tmp_path / "m.onnx", TensorProto.INT8)
    fused = optimized(source, tmp_path / "fused.onnx")
    assert "MatMulNBits" in {node.op_type for node in fused.graph.node}
    before, after = analyze_onnx(source), analyze_onnx(tmp_path / "fused.onnx")
    assert (after.macs, after.parameter_count) == (before.macs, before.parameter_count)
    assert after.activation_bytes == before.activation_bytes
    assert after.quantization == before.quantization


def test_a_dynamically_quantized_model_computes_with_integers(tmp_path: Path) -> None:
    weights = constant("w", np.random.default_rng(1).normal(size=(64, 16)), np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    source = write(tmp_path / "m.onnx", [node], [floats("x", "n", 64)], [floats("y", "n", 16)], [weights])
    quantize_dynamic(source, tmp_path / "q.onnx")
    model = analyze_onnx(tmp_path / "q.onnx")
    assert model.quantization == {Quantization.INTEGER, Quantization.INT8_WEIGHTS}
    assert model.macs == 64 * 16
    assert model.parameter_count - 64 * 16 <= 1  # an ordinary Mul applies the scale
