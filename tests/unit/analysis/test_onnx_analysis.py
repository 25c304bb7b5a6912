"""Analysis of published models and of small synthetic ones, with known figures."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from router_backend.analysis.onnx_analysis import analyze_onnx
from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from tests.onnx_models import constant, floats

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
OPSET = 17


def save(path: Path, model: onnx.ModelProto) -> Path:
    onnx.save(model, path)
    return path


def made(
    tmp_path: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    constants: tuple[Any, ...] = (),
    opset: int = OPSET,
) -> ModelCharacteristics:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=list(constants))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return analyze_onnx(save(tmp_path / "m.onnx", model))


def weights(name: str, *shape: int, dtype: type[np.generic] = np.float32) -> Any:
    return constant(name, np.zeros(shape), dtype)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("resnet50", 25.6e6),
        ("vgg19", 143.7e6),
        ("densenet121", 8.0e6),
        ("inception_v1", 7.0e6),
        ("squeezenet", 1.2355e6),  # the file holds version 1.1
    ],
)
def test_parameter_counts_are_within_one_percent_of_published_ones(name: str, published: float) -> None:
    model = analyze_onnx(LIGHT / f"light_{name}.onnx")
    assert model.parameter_count == pytest.approx(published, rel=0.01)
    assert model.parameter_bytes == 4 * model.parameter_count


@pytest.mark.parametrize(
    ("name", "published"), [("resnet50", 4.1e9), ("vgg19", 19.6e9), ("densenet121", 2.9e9)]
)
def test_macs_are_within_five_percent_of_published_ones(name: str, published: float) -> None:
    model = analyze_onnx(LIGHT / f"light_{name}.onnx")
    assert model.macs == pytest.approx(published, rel=0.05)
    assert model.flops == 2 * (model.macs or 0)


def test_squeezenet_1_0_has_its_published_parameters(tmp_path: Path) -> None:
    """Iandola et al. 2016, table 1: conv1 of 96 7x7 filters, eight fire modules, conv10 of 1x1."""
    fires = [(96, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128)]
    fires += [(256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)]
    layers = [(96, 3, 7), (1000, 512, 1)]
    for given, squeezed, expanded in fires:
        layers += [(squeezed, given, 1), (expanded, squeezed, 1), (expanded, squeezed, 3)]
    constants = [weights(f"w{n}", out, in_, k, k) for n, (out, in_, k) in enumerate(layers)]
    constants += [weights(f"b{n}", out) for n, (out, _, _) in enumerate(layers)]
    node = helper.make_node("Identity", ["x"], ["y"])
    model = made(tmp_path, [node], [floats("x", 1)], [floats("y", 1)], tuple(constants))
    assert model.parameter_count == 1_248_424


def test_a_dynamic_batch_counts_as_one_item_and_other_dynamic_dimensions_make_macs_unknown(
    tmp_path: Path,
) -> None:
    w = weights("w", 8, 3, 3, 3)
    conv = helper.make_node("Conv", ["x", "w"], ["y"])
    closed = made(tmp_path, [conv], [floats("x", "n", 3, 10, 10)], [floats("y", "n", 8, 8, 8)], (w,))
    assert (closed.macs, closed.dynamic_dimensions) == (8 * 8 * 8 * 3 * 9, ())
    assert closed.activation_bytes == 4 * 8 * 8 * 8
    open_width = made(tmp_path, [conv], [floats("x", "n", 3, 10, "w_")], [floats("y", "n", 8, 8, "v")], (w,))
    assert (open_width.macs, open_width.activation_bytes) == (None, None)
    assert open_width.dynamic_dimensions == ("x[3]",)


@pytest.mark.parametrize(
    ("operator", "attributes", "shapes", "output", "macs"),
    [
        ("Conv", {"group": 4}, [(1, 4, 6, 6), (8, 1, 3, 3)], (1, 8, 4, 4), 8 * 16 * 9),
        ("ConvTranspose", {}, [(1, 4, 6, 6), (4, 2, 3, 3)], (1, 2, 8, 8), 4 * 36 * 2 * 9),
        ("MatMul", {}, [(2, 5, 7), (7, 3)], (2, 5, 3), 2 * 5 * 3 * 7),
        ("Gemm", {"transA": 1}, [(7, 5), (7, 3)], (5, 3), 5 * 3 * 7),
        ("Einsum", {"equation": "bij,bjk->bik"}, [(2, 3, 4), (2, 4, 5)], (2, 3, 5), 2 * 3 * 4 * 5),
    ],
)
def test_macs_follow_the_definition_of_the_operator(
    tmp_path: Path,
    operator: str,
    attributes: dict[str, Any],
    shapes: list[tuple[int, ...]],
    output: tuple[int, ...],
    macs: int,
) -> None:
    node = helper.make_node(operator, ["x", "w"], ["y"], **attributes)
    model = made(
        tmp_path, [node], [floats("x", *shapes[0])], [floats("y", *output)], (weights("w", *shapes[1]),)
    )
    assert model.macs == macs


def test_a_recurrent_cell_works_with_all_its_weights_at_each_step(tmp_path: Path) -> None:
    node = helper.make_node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=5)
    model = made(
        tmp_path,
        [node],
        [floats("x", 7, 1, 3)],
        [floats("h", 1, 1, 5)],
        (weights("w", 1, 20, 3), weights("r", 1, 20, 5)),
    )
    assert model.macs == 7 * (20 * 3 + 20 * 5)


def branch(name: str, weight: str, width: int) -> onnx.GraphProto:
    node = helper.make_node("MatMul", ["x", weight], [f"{name}_y"])
    return helper.make_graph(
        [node], name, [], [floats(f"{name}_y", 1, width)], initializer=[weights(weight, 4, width)]
    )


def test_the_macs_of_the_larger_branch_and_the_parameters_of_both_count(tmp_path: Path) -> None:
    node = helper.make_node(
        "If", ["c"], ["y"], then_branch=branch("t", "a", 3), else_branch=branch("e", "b", 9)
    )
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    model = made(tmp_path, [node], [condition, floats("x", 1, 4)], [floats("y", 1, "k")])
    assert (model.control_flow, model.macs, model.parameter_count) == (("If",), 4 * 9, 4 * 3 + 4 * 9)
    assert model.operators == {"MatMul": 2, "If": 1}


def test_the_macs_of_a_loop_are_unknown(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("MatMul", ["v", "w"], ["u"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            floats("v", 4, 4),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), floats("u", 4, 4)],
    )
    node = helper.make_node("Loop", ["", "c", "x"], ["y"], body=body)
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    model = made(tmp_path, [node], [condition, floats("x", 4, 4)], [floats("y", 4, 4)], (weights("w", 4, 4),))
    assert (model.control_flow, model.macs) == (("Loop",), None)


@pytest.mark.parametrize("opset", [7, 13, OPSET, onnx.defs.onnx_opset_version()])
def test_old_and_new_opsets_are_read(tmp_path: Path, opset: int) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = made(tmp_path, [node], [floats("x", "n", 4)], [floats("y", "n", 2)], (weights("w", 4, 2),), opset)
    assert (model.opset, model.macs) == (opset, 8)


@pytest.mark.parametrize(
    ("operator", "dtype", "kind"),
    [
        ("Identity", np.float16, Quantization.FP16),
        ("Identity", np.int8, Quantization.INT8_WEIGHTS),
        ("QLinearAdd", np.float32, Quantization.QLINEAR),
        ("QGemm", np.float32, Quantization.QLINEAR),
        ("DynamicQuantizeMatMul", np.float32, Quantization.INTEGER),
    ],
)
def test_quantization_is_detected_by_operators_and_weights(
    tmp_path: Path, operator: str, dtype: type[np.generic], kind: Quantization
) -> None:
    domain = "" if operator == "Identity" else "com.microsoft"
    node = helper.make_node(operator, ["x", "w"] if domain else ["w"], ["y"], domain=domain)
    model = made(tmp_path, [node], [floats("x", 4)], [floats("y", 4)], (weights("w", 4, dtype=dtype),))
    assert model.quantization == {kind}


def test_a_constant_that_is_quantized_and_back_is_no_integer_work_and_no_activation(tmp_path: Path) -> None:
    """As tools write weights to be quantized when the model is loaded."""
    nodes = [
        helper.make_node("QuantizeLinear", ["w", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["v"]),
        helper.make_node("MatMul", ["x", "v"], ["y"]),
    ]
    constants = (weights("w", 4, 2), constant("s", 0.5, np.float32), constant("z", 0, np.int8))
    model = made(tmp_path, nodes, [floats("x", 3, 4)], [floats("y", 3, 2)], constants)
    assert model.quantization == frozenset()
    assert (model.parameter_count, model.activation_bytes) == (8, 4 * 6)


def test_a_scalar_does_not_make_a_model_one_of_reduced_weights(tmp_path: Path) -> None:
    node = helper.make_node("Strange", ["x", "z"], ["y"], domain="com.microsoft")
    model = made(tmp_path, [node], [floats("x", 4)], [floats("y", 4)], (constant("z", 0, np.int8),))
    assert model.quantization == frozenset()


def test_weights_of_half_a_byte_fill_whole_bytes(tmp_path: Path) -> None:
    stored = helper.make_tensor("w", TensorProto.INT4, [3], np.ones(3, np.int8))
    node = helper.make_node("Identity", ["w"], ["y"])
    output = helper.make_tensor_value_info("y", TensorProto.INT4, [3])
    model = made(tmp_path, [node], [], [output], (stored,), opset=21)
    assert (model.parameter_count, model.parameter_bytes) == (3, 2)


def test_what_follows_from_constants_is_no_activation_but_what_a_branch_reads_is(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Clip", ["w", "", "m"], ["fixed"]),
        helper.make_node(
            "If", ["c"], ["u"], then_branch=branch("t", "a", 3), else_branch=branch("e", "b", 3)
        ),
        helper.make_node("Add", ["u", "fixed"], ["y"]),
    ]
    constants = (weights("w", 3), constant("m", 6, np.float32), constant("c", True, np.bool_))
    model = made(tmp_path, nodes, [floats("x", 1, 4)], [floats("y", 1, 3)], constants)
    assert model.activation_bytes == 4 * 3 * 4  # each branch's result, that of If, and the sum


def test_a_quantized_model_is_detected(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    scale, zero = constant("s", 0.5, np.float32), constant("z", 0, np.int8)
    model = made(tmp_path, nodes, [floats("x", 4)], [floats("y", 4)], (scale, zero))
    assert model.quantization == {Quantization.QDQ}


def test_external_weights_are_counted_without_being_read(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node], "g", [floats("x", "n", 64)], [floats("y", "n", 64)], initializer=[weights("w", 64, 64)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    found = analyze_onnx(tmp_path / "m.onnx")
    assert (found.parameter_count, found.macs) == (64 * 64, 64 * 64)


def test_an_output_that_nothing_reads_is_not_stored(tmp_path: Path) -> None:
    node = helper.make_node("MaxPool", ["x"], ["y", "indices"], kernel_shape=[2])
    model = made(tmp_path, [node], [floats("x", 1, 1, 8)], [floats("y", 1, 1, 7)])
    assert model.activation_bytes == 4 * 7


def test_a_layer_behind_a_custom_operator_has_an_unknown_number_of_dimensions(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Strange", ["x"], ["u"], domain="com.example"),
        helper.make_node("Conv", ["u", "w"], ["y"]),
    ]
    model = made(tmp_path, nodes, [floats("x", 1, 4)], [floats("y", 1, 2, 8)], (weights("w", 2, 4, 3),))
    assert (model.spatial_dimensions, model.operators["com.example.Strange"]) == (0, 1)


def test_an_operator_of_a_custom_domain_is_accepted_and_its_output_is_unknown(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Strange", ["x"], ["u"], domain="com.microsoft"),
        helper.make_node("MatMul", ["u", "w"], ["y"]),
    ]
    model = made(tmp_path, nodes, [floats("x", 1, 4)], [floats("y", 1, 2)], (weights("w", 4, 2),))
    assert (model.macs, model.operators["com.microsoft.Strange"]) == (None, 1)
