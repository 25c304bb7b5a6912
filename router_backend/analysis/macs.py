"""Multiply-accumulate operations (MACs) of a graph.

Convolutions, matrix products and recurrent cells are counted. Pooling, normalization and activations are not,
as in the figures that are published with models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import onnx

from router_backend.analysis.broken_content import BrokenNodeError
from router_backend.analysis.graph import STANDARD_DOMAINS, inner_graphs, integer, text
from router_backend.analysis.onnx_runtime_operators import EQUIVALENTS
from router_backend.analysis.shapes import Value

Values = Mapping[str, Value]


class OpenShapeError(Exception):
    """A shape that is needed for the count is unknown."""


def macs(graph: onnx.GraphProto, values: Values) -> int | None:
    """Return the number of MACs of a graph; `None` if a shape or the number of iterations is unknown.

    Raises:
        BrokenNodeError: a node has inputs that its operator does not accept.
    """
    try:
        return sum(_of_node(node, values) for node in graph.node)
    except OpenShapeError:
        return None


def _of_node(node: onnx.NodeProto, values: Values) -> int:
    bodies = [macs(each, values) for each in inner_graphs(node)]
    if None in bodies or (node.op_type != "If" and any(bodies)):
        raise OpenShapeError
    largest = max((count for count in bodies if count is not None), default=0)
    if node.op_type in NOT_COUNTED:
        raise OpenShapeError
    count = COUNTED.get(node.op_type)
    return largest if count is None else count(node, values)


def _input(node: onnx.NodeProto, index: int, values: Values, rank: int | None = None) -> tuple[int, ...]:
    """Return the shape of an input, with the required number of dimensions; `None` for at least one.

    Raises:
        OpenShapeError: the shape is unknown, or an operator of a custom domain has another input.
        BrokenNodeError: a standard operator lacks the input, or it has another rank.
    """
    if index >= len(node.input):
        raise _unfit(node, f"an input {index}", f"{len(node.input)} inputs")
    shape = _shape(values, node.input[index])
    if not shape if rank is None else len(shape) != rank:
        needed = "some" if rank is None else rank
        raise _unfit(node, f"input {index} with {needed} dimensions", f"{len(shape)}")
    return shape


def _unfit(node: onnx.NodeProto, expected: str, found: str) -> Exception:
    return BrokenNodeError(node, expected, found) if node.domain in STANDARD_DOMAINS else OpenShapeError()


def _output(node: onnx.NodeProto, values: Values) -> tuple[int, ...]:
    return _shape(values, node.output[0] if node.output else "")


def _shape(values: Values, name: str) -> tuple[int, ...]:
    value = values.get(name)
    if value is None:
        raise OpenShapeError
    shape = tuple(size for size in value.shape if size is not None)
    if len(shape) != len(value.shape):
        raise OpenShapeError
    return shape


def _convolution(node: onnx.NodeProto, values: Values) -> int:
    """Count MACs: each output element is a sum over the kernel and the input channels of its group."""
    _, *window = _input(node, 1, values)
    return math.prod(_output(node, values)) * math.prod(window)


def _transposed_convolution(node: onnx.NodeProto, values: Values) -> int:
    """Count MACs: each input element is multiplied with the kernel of each output channel of its group."""
    _, *window = _input(node, 1, values)
    return math.prod(_input(node, 0, values)) * math.prod(window)


def _matrix_product(node: onnx.NodeProto, values: Values) -> int:
    summed = -2 if integer(node, "transA", 0) == 1 else -1
    return math.prod(_output(node, values)) * _input(node, 0, values)[summed]


def _recurrent(node: onnx.NodeProto, values: Values) -> int:
    """Count MACs: each step of each item uses all input weights and all recurrent weights once."""
    length, batch, _ = _input(node, 0, values, rank=3)
    weights = sum(math.prod(_input(node, index, values)) for index in (1, 2))
    return length * batch * weights


def _einstein_sum(node: onnx.NodeProto, values: Values) -> int:
    """Count one MAC for each combination of the indices."""
    terms = text(node, "equation").replace(" ", "").partition("->")[0].split(",")
    if "..." in "".join(terms) or len(terms) != len(node.input):
        raise OpenShapeError
    sizes: dict[str, int] = {}
    for index, term in enumerate(terms):
        if term:  # an empty term is a scalar
            sizes |= dict(zip(term, _input(node, index, values, rank=len(term)), strict=True))
    return math.prod(sizes.values()) if len(terms) > 1 else 0


COUNTED: Mapping[str, Callable[[onnx.NodeProto, Values], int]] = {
    "Conv": _convolution,
    "ConvInteger": _convolution,
    "DeformConv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "MatMul": _matrix_product,
    "FusedMatMul": _matrix_product,
    "MatMulInteger": _matrix_product,
    "Gemm": _matrix_product,
    "Einsum": _einstein_sum,
    "RNN": _recurrent,
    "GRU": _recurrent,
    "LSTM": _recurrent,
}
NOT_COUNTED = frozenset(
    {"Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention", "FusedAttention", *EQUIVALENTS}
)
"""Operators whose MACs do not follow from their shapes, or that could not be replaced by standard ones."""
