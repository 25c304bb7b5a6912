"""Shape inference: the shapes of all values of a model, for one item."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import onnx
from onnx import TensorProto
from onnx.shape_inference import InferenceError, infer_shapes

from router_backend.analysis.broken_content import BrokenNodeError
from router_backend.analysis.constants import BITS
from router_backend.analysis.graph import graphs, nodes

OTHER_BITS = {TensorProto.INT64: 64, TensorProto.UINT64: 64, TensorProto.UINT32: 32, TensorProto.BOOL: 8}

EQUATION = re.compile(r"[A-Za-z., ]*(->[A-Za-z., ]*)?")


class Value(NamedTuple):
    """The shape of a tensor, with `None` for unknown dimensions, and its ONNX element type."""

    shape: tuple[int | None, ...]
    data_type: int

    @property
    def elements(self) -> int | None:
        """The number of elements; `None` if a dimension is unknown."""
        product = 1
        for size in self.shape:
            if size is None:
                return None
            product *= size
        return product

    @property
    def size_bytes(self) -> int | None:
        """The size in bytes; `None` if a dimension is unknown or the elements are strings."""
        bits = BITS.get(self.data_type) or OTHER_BITS.get(self.data_type)
        return None if self.elements is None or bits is None else -(-self.elements * bits // 8)


def inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that a request must provide: those without an initializer."""
    given = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in given]


def dynamic_dimensions(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return the dynamic dimensions of the inputs, without the first, which is the batch."""
    return tuple(
        f"{value.name}[{axis}]"
        for value in inputs(graph)
        for axis, size in enumerate(_shape(value))
        if axis and size is None
    )


def infer(model: onnx.ModelProto) -> Mapping[str, Value]:
    """Return the tensors of the graph and its subgraphs by name, with 1 for a dynamic first dimension.

    Tensors that shape inference cannot resolve have unknown dimensions or are missing.

    Raises:
        BrokenNodeError: the equation of an Einsum node is invalid.
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
    """Reject equations with other characters, on which shape inference hangs."""
    for attribute in node.attribute:
        equation = attribute.s.decode("ascii", "backslashreplace")
        if node.op_type == "Einsum" and not EQUATION.fullmatch(equation):
            raise BrokenNodeError(node, "an equation of letters, dots, commas and an arrow", f"'{equation}'")


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(
        int(size.dim_value) if size.HasField("dim_value") and size.dim_value >= 0 else None
        for size in value.type.tensor_type.shape.dim
    )
