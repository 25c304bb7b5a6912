"""The learned parameters of a model: the constants that it stores or fills."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import onnx
from onnx import TensorProto, numpy_helper

from router_backend.analysis.broken_content import BrokenNodeError
from router_backend.analysis.graph import graphs, nodes, tensors

BITS = {
    TensorProto.FLOAT: 32,
    TensorProto.DOUBLE: 64,
    TensorProto.FLOAT16: 16,
    TensorProto.BFLOAT16: 16,
    TensorProto.FLOAT8E4M3FN: 8,
    TensorProto.FLOAT8E4M3FNUZ: 8,
    TensorProto.FLOAT8E5M2: 8,
    TensorProto.FLOAT8E5M2FNUZ: 8,
    TensorProto.FLOAT4E2M1: 4,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
    TensorProto.INT32: 32,
    TensorProto.COMPLEX64: 64,
    TensorProto.COMPLEX128: 128,
}
"""Bits per element of the types that parameters have. int64 is left out: it is for shapes and indices."""
MAX_SHAPE_ELEMENTS = 1024
"""Constants of at most this many elements keep their values, as they may be shapes."""


class Constant(NamedTuple):
    """A constant: its name, its ONNX element type and its number of elements."""

    name: str
    data_type: int
    elements: int


def learned_constants(graph: onnx.GraphProto) -> list[Constant]:
    """Return the learned parameters: initializers, Constant nodes, and ConstantOfShape nodes of known shape.

    The running means and variances of batch normalization are left out, as in published parameter counts:
    they are measured, not learned.

    Raises:
        BrokenNodeError: the shape of a ConstantOfShape node is invalid.
    """
    observed = {
        name for node in nodes(graph) if node.op_type == "BatchNormalization" for name in node.input[3:5]
    }
    return [
        constant
        for each in graphs(graph)
        for constant in (*_stored(each), *_filled(each))
        if constant.data_type in BITS and constant.name not in observed
    ]


def strip_values(graph: onnx.GraphProto) -> None:
    """Delete the values of large constants in place; the rest of the analysis only needs their shapes."""
    for tensor in tensors(graph):
        if math.prod(tensor.dims) > MAX_SHAPE_ELEMENTS:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
                tensor.ClearField(field)


def _stored(graph: onnx.GraphProto) -> Iterator[Constant]:
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        yield Constant(tensor.name, tensor.data_type, math.prod(tensor.dims))
    for name, tensor in _constant_nodes(graph):
        yield Constant(name, tensor.data_type, math.prod(tensor.dims))


def _filled(graph: onnx.GraphProto) -> Iterator[Constant]:
    shapes = {tensor.name: tensor for tensor in graph.initializer} | dict(_constant_nodes(graph))
    for node in graph.node:
        shape = shapes.get(node.input[0]) if node.op_type == "ConstantOfShape" else None
        if shape is not None and not shape.external_data:
            data_type = next((each.t.data_type for each in node.attribute), int(TensorProto.FLOAT))
            yield Constant(node.output[0], data_type, math.prod(_sizes(node, shape)))


def _sizes(node: onnx.NodeProto, shape: onnx.TensorProto) -> list[int]:
    """Return the values of a tensor that holds a shape."""
    sizes: list[int] | None = None
    if shape.data_type == TensorProto.INT64 and len(shape.dims) == 1:
        with suppress(ValueError):  # the number of values does not match its dimensions
            sizes = numpy_helper.to_array(shape).tolist()
    if sizes is None or min(sizes, default=0) < 0:
        raise BrokenNodeError(
            node, f"'{shape.name}' to be a list of whole numbers of 0 or more", "another tensor"
        )
    return sizes


def _constant_nodes(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    yield node.output[0], attribute.t
