"""The constants that a model stores or fills, and which of their numbers are learned."""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import onnx
from onnx import TensorProto, numpy_helper

from router_backend.analysis.broken_content import BrokenNodeError
from router_backend.analysis.graph import graphs, integer, nodes, tensors
from router_backend.analysis.onnx_runtime_operators import PACKED, scales

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
    """A constant: its name, its ONNX element type, how many numbers in it are learned, and its size."""

    name: str
    data_type: int
    learned: int
    size_bytes: int


def constants_of(graph: onnx.GraphProto) -> list[Constant]:
    """Return the initializers, Constant nodes, and ConstantOfShape nodes of known shape.

    Those of shapes and indices are left out, and the running means and variances of batch normalization, as
    in published parameter counts: they are measured, not learned. No number of a scale or zero point is
    learned. A packed weight has the type and the number of what it holds.

    Raises:
        BrokenNodeError: the shape of a ConstantOfShape node is invalid.
    """
    observed = {
        name for node in nodes(graph) if node.op_type == "BatchNormalization" for name in node.input[3:5]
    }
    not_learned = {name for node in nodes(graph) for name in scales(node)}
    packed = {node.input[1]: node for node in nodes(graph) if node.op_type == PACKED and len(node.input) > 1}
    found = (
        constant
        for each in graphs(graph)
        for constant in (*_stored(each), *_filled(each))
        if constant.data_type in BITS and constant.name not in observed
    )
    return [
        constant._replace(learned=0)
        if constant.name in not_learned
        else _unpacked(constant, packed.get(constant.name))
        for constant in found
    ]


def _constant(name: str, data_type: int, sizes: Iterable[int]) -> Constant:
    elements = math.prod(sizes)
    return Constant(name, data_type, elements, -(-elements * BITS.get(data_type, 0) // 8))


def _unpacked(constant: Constant, product: onnx.NodeProto | None) -> Constant:
    """Return a constant as what the product reads from it; as it is if no product unpacks it."""
    if product is None:
        return constant
    small = integer(product, "bits", 4) <= BITS[TensorProto.UINT4]
    weights = max(0, integer(product, "K", 0) * integer(product, "N", 0))
    return constant._replace(data_type=TensorProto.UINT4 if small else TensorProto.UINT8, learned=weights)


def strip_values(graph: onnx.GraphProto) -> None:
    """Delete the values of large constants in place; the rest of the analysis only needs their shapes."""
    for tensor in tensors(graph):
        if math.prod(tensor.dims) > MAX_SHAPE_ELEMENTS:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
                tensor.ClearField(field)


def _stored(graph: onnx.GraphProto) -> Iterator[Constant]:
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        yield _constant(tensor.name, tensor.data_type, tensor.dims)
    for name, tensor in _constant_nodes(graph):
        yield _constant(name, tensor.data_type, tensor.dims)


def _filled(graph: onnx.GraphProto) -> Iterator[Constant]:
    shapes = {tensor.name: tensor for tensor in graph.initializer} | dict(_constant_nodes(graph))
    for node in graph.node:
        shape = shapes.get(node.input[0]) if node.op_type == "ConstantOfShape" else None
        if shape is not None and not shape.external_data:
            data_type = next((each.t.data_type for each in node.attribute), int(TensorProto.FLOAT))
            yield _constant(node.output[0], data_type, _sizes(node, shape))


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
