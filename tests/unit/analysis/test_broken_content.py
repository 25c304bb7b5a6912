"""Invalid content of a file always raises a `ConfigurationError` with its path."""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from router_backend.analysis.onnx_analysis import analyze_onnx
from router_backend.core.records.variant import Device
from router_backend.core.variants.device_fit import fit
from router_backend.errors import ConfigurationError
from tests.onnx_models import constant, floats
from tests.unit.analysis.test_onnx_file import external, refusal

SHAPE = constant("s", [4], np.int64)


def save(
    path: Path, nodes: list[Any], constants: tuple[Any, ...] = (), functions: tuple[Any, ...] = ()
) -> Path:
    inputs = [floats("x", 2, 4, 3), floats("w", 4, 3), floats("z")]
    graph = helper.make_graph(nodes, "g", inputs, [floats("y", 4)], initializer=constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8), path)
    return path


def node(operator: str, *inputs: str, output: str | None = "y", **attributes: Any) -> Any:
    outputs = [] if output is None else [output]
    return helper.make_node(operator, inputs, outputs, name="n", **attributes)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (node("LSTM", "x"), "expected at least 3 inputs, found 1"),
        (node("Conv", "x"), "expected at least 2 inputs, found 1"),
        (node("Conv"), "expected at least 2 inputs, found 0"),
        (node("Conv", "x", "z"), "expected input 1 with some dimensions, found 0"),
        (node("QLinearConv", "x", "z", "z"), "expected at least 8 inputs, found 3"),
        (node("MatMul", "z", "z"), "expected input 0 with some dimensions, found 0"),
        (node("RNN", "w", "w", "w"), "expected input 0 with 3 dimensions, found 2"),
        (node("Einsum", "x", "w", equation="bij,bjk->bik"), "expected input 1 with 3 dimensions, found 2"),
        (
            node("Einsum", "w", "w", equation=b"bi\xff\x7fi\xff->bi"),  # shape inference hangs on it
            "expected an equation of letters, dots, commas and an arrow, found 'bi\\xff\x7fi\\xff->bi'",
        ),
        (node("ConstantOfShape"), "expected at least 1 inputs, found 0"),
        (node("Constant", output=None, value=SHAPE), "expected at least 1 outputs, found 0"),
    ],
)
def test_an_invalid_node_is_named(tmp_path: Path, broken: Any, message: str) -> None:
    others = [] if "y" in broken.output else [helper.make_node("Relu", ["x"], ["y"])]
    path = save(tmp_path / "m.onnx", [broken, *others])
    assert refusal(path) == f", node 'n' ({broken.op_type}): {message}; export the model again"


def modified_shape(change: Callable[[Any], None]) -> Any:
    tensor = constant("s", [4, 4], np.int64)
    change(tensor)
    return tensor


@pytest.mark.parametrize(
    "shape",
    [
        constant("s", 4, np.int64),
        constant("s", [float("nan")], np.float32),
        helper.make_tensor("s", TensorProto.STRING, [1], [b"four"]),
        constant("s", [-4], np.int64),
        modified_shape(lambda tensor: setattr(tensor, "raw_data", tensor.raw_data[:-3])),
        modified_shape(lambda tensor: setattr(tensor, "data_type", 99)),
    ],
    ids=["scalar", "NaN", "text", "negative", "truncated", "unknown type"],
)
def test_an_invalid_shape_of_a_filled_constant_is_named(tmp_path: Path, shape: Any) -> None:
    path = save(tmp_path / "m.onnx", [node("ConstantOfShape", "s")], (shape,))
    assert ", node 'n' (ConstantOfShape): expected 's' to be a list of whole numbers" in refusal(path)


@pytest.mark.parametrize("sizes", [[-1, 3], [-2, -2]])
def test_a_constant_with_negative_sizes_is_named(tmp_path: Path, sizes: list[int]) -> None:
    tensor = constant("s", [4, 4], np.int64)
    tensor.dims[:] = sizes
    path = save(tmp_path / "m.onnx", [node("Relu", "x")], (tensor,))
    assert f", tensor 's': expected a shape without negative sizes, found {sizes}" in refusal(path)


def test_shapes_with_implausible_counts_are_refused(tmp_path: Path) -> None:
    tensor = constant("s", [4.0], np.float32)
    tensor.dims[:] = [2**62] * 20
    path = save(tmp_path / "m.onnx", [node("Relu", "x")], (tensor,))
    assert "found shapes with parameter_bytes above" in refusal(path)


def test_an_operator_of_a_custom_domain_may_share_the_name_of_a_standard_one(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("LSTM", "w", domain="com.example")])
    assert analyze_onnx(path).macs is None


def test_a_recursive_function_is_refused_by_name(tmp_path: Path) -> None:
    inner = [helper.make_node("f", ["a"], ["b"], domain="own")]
    function = helper.make_function("own", "f", ["a"], ["b"], inner, [helper.make_opsetid("own", 1)])
    path = save(tmp_path / "m.onnx", [node("f", "x", domain="own")], functions=(function,))
    message = refusal(path)
    assert "found ValidationError: Cycle detected" in message
    assert ", while inlining its functions; " in message
    assert "own::f" in message


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("offset", "abc", "expected a whole number as the offset of its external data, found 'abc'"),
        ("length", "-5", "expected a whole number as the length of its external data, found '-5'"),
        ("location", "w\0.bin", "expected the name of a file with external data, found one with a NUL"),
        ("location", "w" * 300, "found fewer or no such file"),
        ("location", "", "found fewer or no such file"),
    ],
)
def test_an_invalid_reference_to_external_data_is_refused(
    tmp_path: Path, key: str, value: str, message: str
) -> None:
    path = external(tmp_path / "m")
    model = onnx.load(path, load_external_data=False)
    entries = model.graph.initializer[0].external_data
    for entry in [entry for entry in entries if entry.key == key]:
        entries.remove(entry)
    entries.add(key=key, value=value)
    onnx.save(model, path)
    assert message in refusal(path)


@pytest.mark.parametrize("path", [Path("/dev/zero"), Path("/dev")], ids=["device", "folder"])
def test_only_regular_files_are_read(path: Path) -> None:
    assert refusal(path).startswith(": expected an ONNX file, found ")


def valid_model() -> bytes:
    """Return a model with everything that the analysis reads: a branch, constants and counted operators."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node("Einsum", ["x", "w"], [name], equation="bij,ij->bi")],
            name,
            [],
            [floats(name, 2, 4)],
        )
        for name in ("then", "else")
    }
    nodes = [
        helper.make_node("Constant", [], ["c"], value=constant("", True, np.bool_)),
        helper.make_node("If", ["c"], ["u"], **branches),
        helper.make_node("ConstantOfShape", ["s"], ["v"]),
        helper.make_node("MatMul", ["u", "v"], ["y"]),
    ]
    constants = [constant("s", [4, 5], np.int64), constant("w", np.ones((4, 3)), np.float32)]
    graph = helper.make_graph(nodes, "g", [floats("x", 2, 4, 3)], [floats("y", 2, 5)], initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


VALID = valid_model()


@given(
    flips=st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(1, 255)), max_size=4),
    length=st.just(len(VALID)) | st.integers(0, len(VALID)),
)
@settings(
    max_examples=300,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_corrupt_files_raise_only_configuration_errors(
    tmp_path: Path, flips: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(VALID)
    for place, bits in flips:
        content[place] ^= bits
    path = tmp_path / "m.onnx"
    path.write_bytes(content[:length])
    with suppress(ConfigurationError):
        model = analyze_onnx(path)
        assert all(fit(model, device).fixed_ms != math.inf for device in Device)
