"""Shape inference: the shapes of all values of a model, for one item."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import onnx
from onnx import TensorProto
from onnx.shape_inference import InferenceError, infer_shapes

from router_backend.analysis.broken_content import BrokenNodeError
from router_backend.analysis.constants import BITS
from router_backend.analysis.graph import graphs, integer, nodes

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
    """Return the dynamic dimensions of the inputs."""
    return tuple(
        f"{value.name}[{axis}]"
        for value in inputs(graph)
        for axis, size in enumerate(_shape(value))
        if size is None
    )


def close_batch(model: onnx.ModelProto) -> None:
    """Set the batch dimensions to 1 in place: the dynamic first dimensions of inputs that are batches.

    Raises:
        BrokenNodeError: the equation of an Einsum node is invalid.
    """
    batches = set()
    for value in inputs(model.graph):
        first = next(iter(value.type.tensor_type.shape.dim), None)
        if first is not None and not first.HasField("dim_value"):
            first.dim_param = first.dim_param or f"{value.name}[0]"
            batches.add(first.dim_param)
    batches -= _sequences(_inferred(model)) if batches else set()
    for value in _values(model.graph):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param in batches:
                size.dim_value = 1


def _sequences(graph: onnx.GraphProto) -> set[str]:
    """Return the dimensions that are no batches, because their items affect each other.

    These are the steps of recurrent cells, and those that a value has twice, as the scores of attention have.
    """
    shapes = {
        value.name: [size.dim_param for size in value.type.tensor_type.shape.dim] for value in _values(graph)
    }
    steps = {
        name
        for node in nodes(graph)
        if node.op_type in ("RNN", "GRU", "LSTM") and integer(node, "layout", 0) == 0
        for first in node.input[:1]
        for name in shapes.get(first, [])[:1]
    }
    return steps | {name for shape in shapes.values() for name in shape if shape.count(name) > 1}


def infer(model: onnx.ModelProto) -> Mapping[str, Value]:
    """Return the tensors of the graph and its subgraphs by name.

    Tensors that shape inference cannot resolve have unknown dimensions or are missing.

    Raises:
        BrokenNodeError: the equation of an Einsum node is invalid.
    """
    graph = _inferred(model)
    found = {
        value.name: Value(_shape(value), value.type.tensor_type.elem_type)
        for value in _values(graph)
        if value.type.tensor_type.HasField("shape")
    }
    constants = (
        (t.name, Value(tuple(t.dims), t.data_type)) for each in graphs(graph) for t in each.initializer
    )
    return found | dict(constants)


def _inferred(model: onnx.ModelProto) -> onnx.GraphProto:
    for node in nodes(model.graph):
        _check_equation(node)
    # Older models must list constants among the inputs, but those that ONNX Runtime saves do not.
    model.ir_version = max(model.ir_version, 4)
    try:
        return infer_shapes(model, data_prop=True).graph
    except InferenceError:
        return model.graph


def _values(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    for each in graphs(graph):
        yield from (*each.value_info, *each.input, *each.output)


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
