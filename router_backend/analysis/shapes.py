"""The shapes of all values of a model, for one item."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import onnx
from onnx import TensorProto
from onnx.shape_inference import InferenceError, infer_shapes

from router_backend.analysis.broken_content import BrokenNodeError
from router_backend.analysis.constants import BITS
from router_backend.analysis.graph import graphs, nodes

BITS_OF_OTHERS = {TensorProto.INT64: 64, TensorProto.UINT64: 64, TensorProto.UINT32: 32, TensorProto.BOOL: 8}

EQUATION = re.compile(r"[A-Za-z., ]*(->[A-Za-z., ]*)?")


class Value(NamedTuple):
    """A tensor's shape, with None for what is open, and its ONNX element type."""

    shape: tuple[int | None, ...]
    data_type: int

    @property
    def elements(self) -> int | None:
        """How many numbers it has; None: a dimension is open."""
        product = 1
        for size in self.shape:
            if size is None:
                return None
            product *= size
        return product

    @property
    def size_bytes(self) -> int | None:
        """The memory that it takes; None: a dimension is open, or it holds texts."""
        bits = BITS.get(self.data_type) or BITS_OF_OTHERS.get(self.data_type)
        return None if self.elements is None or bits is None else -(-self.elements * bits // 8)


def inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """What a request has to bring: inputs that no initializer gives."""
    given = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in given]


def dynamic_dimensions(graph: onnx.GraphProto) -> tuple[str, ...]:
    """The open dimensions of the inputs beside the first, which is the batch."""
    return tuple(
        f"{value.name}[{axis}]"
        for value in inputs(graph)
        for axis, size in enumerate(_shape(value))
        if axis and size is None
    )


def infer(model: onnx.ModelProto) -> Mapping[str, Value]:
    """The tensors of the graph and of those inside it, by name; an open first dimension counts as 1.

    What shape inference does not find out has open dimensions, or is not there at all.

    Raises:
        BrokenNodeError: the equation of an Einsum is none.
    """
    for node in nodes(model.graph):
        _check_equation(node)
    for value in inputs(model.graph):
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].HasField("dim_value"):
            dimensions[0].dim_value = 1
    try:
        graph = infer_shapes(model, data_prop=True).graph
    except InferenceError:
        graph = model.graph
    found = {
        value.name: Value(_shape(value), value.type.tensor_type.elem_type)
        for each in graphs(graph)
        for value in (*each.value_info, *each.input, *each.output)
        if value.type.tensor_type.HasField("shape")
    }
    constants = (
        (t.name, Value(tuple(t.dims), t.data_type)) for each in graphs(graph) for t in each.initializer
    )
    return found | dict(constants)


def _check_equation(node: onnx.NodeProto) -> None:
    """Shape inference never comes back from an equation with other characters."""
    for attribute in node.attribute:
        equation = attribute.s.decode("ascii", "backslashreplace")
        if node.op_type == "Einsum" and not EQUATION.fullmatch(equation):
            raise BrokenNodeError(node, "an equation of letters, dots, commas and an arrow", f"'{equation}'")


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(
        int(size.dim_value) if size.HasField("dim_value") and size.dim_value >= 0 else None
        for size in value.type.tensor_type.shape.dim
    )
