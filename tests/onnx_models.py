"""Small ONNX files for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def write_model(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[Any] = (),
) -> Path:
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializer=constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def floats(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def int64s(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def constant(name: str, values: Any, dtype: type[np.generic]) -> Any:
    return numpy_helper.from_array(np.array(values, dtype=dtype), name)


def write_doubler(path: Path, batch: int | str = "batch") -> Path:
    """Write a model with `y` = 2 · `x`, both of shape [batch, width]."""
    return write_model(
        path,
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [floats("x", batch, "width")],
        [floats("y", batch, "width")],
    )


def write_lookup(path: Path) -> Path:
    """Write a model with `y` = 10 · `index` (0 to 3) and `size`, the batch size; all of shape [batch, 1]."""
    table = constant("table", [0, 10, 20, 30], np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "index"], ["y"]),
        helper.make_node("Shape", ["index"], ["shape"], start=0, end=1),
        helper.make_node("Mul", ["index", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "shape"], ["size"]),
    ]
    return write_model(
        path,
        nodes,
        [int64s("index", "batch", 1)],
        [floats("y", "batch", 1), int64s("size", "batch", 1)],
        [table, constant("zero", [0], np.int64)],
    )
