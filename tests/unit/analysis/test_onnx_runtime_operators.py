"""What is found of ONNX Runtime's operators is what ONNX Runtime computes."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from router_backend.analysis.onnx_analysis import analyze_onnx
from router_backend.analysis.onnx_runtime_operators import DATA, EQUIVALENTS
from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from tests.onnx_models import constant

TYPES = {np.float32: TensorProto.FLOAT, np.uint8: TensorProto.UINT8}


class Case(NamedTuple):
    """A node whose first data input is the model's; the others are constants of ones.

    Args:
        inputs: for each input its type and shape; `None` for one that is left out.
        macs: the multiply-accumulates.
        learned: the number of weights.
        attributes: those of the node.
        kind: how it computes with integers, if it does.
    """

    inputs: list[tuple[Any, tuple[int, ...]] | None]
    macs: int = 0
    learned: int = 0
    attributes: dict[str, Any] = {}  # noqa: RUF012 - never changed
    kind: Quantization | None = None


def f32(*shape: int) -> tuple[Any, tuple[int, ...]]:
    return np.float32, shape


def u8(*shape: int) -> tuple[Any, tuple[int, ...]]:
    return np.uint8, shape


SCALE = [f32(), u8()]
PER_CHANNEL = [f32(4), u8(4)]
QLINEAR, INTEGER = Quantization.QLINEAR, Quantization.INTEGER
PACKED = {"K": 32, "N": 4, "bits": 4, "block_size": 16}
CASES = {
    "FusedConv": Case([f32(1, 3, 8, 8), f32(4, 3, 3, 3), f32(4)], 4 * 36 * 27, 112, {"activation": "Relu"}),
    "FusedGemm": Case([f32(2, 6), f32(6, 4), f32(4)], 48, 28, {"activation": "Relu"}),
    "BiasGelu": Case([f32(2, 6), f32(6)], 0, 6),
    "FastGelu": Case([f32(2, 6), f32(6)], 0, 6),
    "Gelu": Case([f32(2, 6)]),
    "QuickGelu": Case([f32(2, 6)]),
    "SkipLayerNormalization": Case([f32(1, 2, 8), f32(1, 2, 8), f32(8)], 0, 24),
    "DynamicQuantizeMatMul": Case([f32(2, 6), u8(6, 4), f32(4), u8(4), f32(4)], 48, 28, {}, INTEGER),
    "MatMulIntegerToFloat": Case(
        [u8(2, 6), u8(6, 4), f32(), f32(4), u8(), u8(4), f32(4)], 48, 28, {}, INTEGER
    ),
    "MatMulNBits": Case([f32(2, 32), u8(4, 2, 8), f32(8), u8(4), None, f32(4)], 256, 132, PACKED),
    "QLinearConv": Case(
        [u8(1, 3, 8, 8), *SCALE, u8(4, 3, 3, 3), *PER_CHANNEL, *SCALE], 4 * 36 * 27, 108, {}, QLINEAR
    ),
    "QLinearMatMul": Case([u8(2, 6), *SCALE, u8(6, 4), *PER_CHANNEL, *SCALE], 48, 24, {}, QLINEAR),
    "QGemm": Case([u8(2, 6), *SCALE, u8(6, 4), *PER_CHANNEL, (np.int32, (4,)), *SCALE], 48, 28, {}, QLINEAR),
    "QLinearAdd": Case([u8(1, 6), *SCALE, u8(5, 6), *SCALE, *SCALE], 0, 30, {}, QLINEAR),
    "QLinearMul": Case([u8(1, 6), *SCALE, u8(5, 6), *SCALE, *SCALE], 0, 30, {}, QLINEAR),
    "QLinearConcat": Case([*SCALE, u8(2, 6), *SCALE, u8(2, 3), *SCALE], 0, 6, {"axis": 1}, QLINEAR),
    "QLinearAveragePool": Case([u8(1, 3, 8, 8), *SCALE, *SCALE], 0, 0, {"kernel_shape": [2, 2]}, QLINEAR),
    "QLinearGlobalAveragePool": Case([u8(1, 3, 8, 8), *SCALE, *SCALE], 0, 0, {}, QLINEAR),
    "QLinearLeakyRelu": Case([u8(2, 6), *SCALE, *SCALE], 0, 0, {"alpha": 0.1}, QLINEAR),
    "QLinearSigmoid": Case([u8(2, 6), *SCALE, *SCALE], 0, 0, {}, QLINEAR),
    "QLinearSoftmax": Case([u8(2, 6), *SCALE, *SCALE], 0, 0, {"opset": 13, "axis": 1}, QLINEAR),
    "ConvInteger": Case([u8(1, 3, 8, 8), u8(4, 3, 3, 3), u8(), u8()], 4 * 36 * 27, 108, {}, INTEGER),
    "MatMulInteger": Case([u8(2, 6), u8(6, 4), u8(), u8(4)], 48, 24, {}, INTEGER),
    "QuantizeLinear": Case([f32(2, 6), *SCALE], kind=Quantization.QDQ),
    "DequantizeLinear": Case([u8(2, 6), *SCALE]),
}
STANDARD = (
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "QuantizeLinear",
    "DequantizeLinear",
)


def write(path: Path, operator: str, case: Case, domain: str = "com.microsoft") -> np.ndarray[Any, Any]:
    """Write a model of one node whose output has no declared shape, and return what ONNX Runtime computes."""
    first = 2 if operator == "QLinearConcat" else 0
    names = ["" if each is None else f"i{index}" for index, each in enumerate(case.inputs)]
    given = {name: each for name, each in zip(names, case.inputs, strict=True) if each is not None}
    dtype, shape = given.pop(names[first])
    constants = [constant(name, np.ones(sizes), kind) for name, (kind, sizes) in given.items()]
    node = helper.make_node(operator, names, ["y"], domain=domain, **case.attributes)
    inputs = [helper.make_tensor_value_info(names[first], TYPES[dtype], shape)]
    output = onnx.ValueInfoProto(name="y")
    graph = helper.make_graph([node], "g", inputs, [output], initializer=constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {names[first]: np.ones(shape, dtype)})
    return result  # type: ignore[no-any-return]


def analyzed(path: Path, operator: str, **attributes: Any) -> ModelCharacteristics:
    """Analyze the case's model with other attributes, which ONNX Runtime does not run."""
    write(path, operator, CASES[operator])
    model = onnx.load(path)
    (node,) = model.graph.node
    kept = [each for each in node.attribute if each.name not in attributes]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(
        helper.make_attribute(name, value) for name, value in attributes.items() if value is not None
    )
    onnx.save(model, path)
    return analyze_onnx(path)


def test_every_operator_has_a_case() -> None:
    assert set(CASES) == {*EQUIVALENTS, *DATA}


@pytest.mark.parametrize("operator", CASES)
def test_shape_work_and_weights_are_those_of_onnx_runtime(tmp_path: Path, operator: str) -> None:
    case = CASES[operator]
    result = write(tmp_path / "m.onnx", operator, case, "" if operator in STANDARD else "com.microsoft")
    model = analyze_onnx(tmp_path / "m.onnx")
    assert model.activation_bytes == (0 if operator == "DequantizeLinear" else result.nbytes)
    assert (model.macs, model.parameter_count) == (case.macs, case.learned)
    expected = {case.kind} if case.kind else set()
    assert {kind for kind in model.quantization if not kind.value.endswith("_weights")} == expected


def test_an_operator_in_another_layout_has_an_unknown_shape_and_work(tmp_path: Path) -> None:
    pool = analyzed(tmp_path / "m.onnx", "QLinearGlobalAveragePool", channels_last=1)
    assert (pool.activation_bytes, pool.macs) == (None, None)


def test_a_packed_product_without_its_sizes_is_unknown(tmp_path: Path) -> None:
    for sizes in ({"K": None}, {"K": -32}, {"N": 0}):
        model = analyzed(tmp_path / "m.onnx", "MatMulNBits", **sizes)
        assert (model.macs, model.activation_bytes) == (None, None)
        assert model.parameter_count == 4  # the bias


def test_packed_weights_have_four_bits_unless_stated(tmp_path: Path) -> None:
    assert analyzed(tmp_path / "m.onnx", "MatMulNBits", bits=None).quantization == {Quantization.INT4_WEIGHTS}


def test_an_operator_of_that_name_in_another_domain_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    write(path, "FusedConv", CASES["FusedConv"])
    model = onnx.load(path)
    model.graph.node[0].domain = "com.example"
    onnx.save(model, path)
    assert (analyze_onnx(path).macs, analyze_onnx(path).activation_bytes) == (None, None)


@pytest.mark.parametrize("operator", ["MatMulNBits", "LSTM"])
def test_a_node_without_inputs_does_not_prevent_the_analysis(tmp_path: Path, operator: str) -> None:
    nodes = [
        helper.make_node(operator, [], ["u"], domain="com.microsoft", K=4, N=4),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    assert analyze_onnx(tmp_path / "m.onnx").macs is None
