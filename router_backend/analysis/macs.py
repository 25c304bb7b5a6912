"""Multiply-accumulates of a graph: one for each product that is added to a sum.

Counted are convolutions, matrix products and recurrent cells. What adds or compares alone, such as pooling,
normalization and activations, counts nothing, as in the figures that are published with models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import onnx

from router_backend.analysis.broken_content import BrokenNodeError
from router_backend.analysis.graph import STANDARD_DOMAINS, inner_graphs, integer, text
from router_backend.analysis.shapes import Value

Values = Mapping[str, Value]


class OpenShapeError(Exception):
    """A shape that the count needs is not known."""


def macs(graph: onnx.GraphProto, values: Values) -> int | None:
    """Those of a graph; None: a shape that decides is open, or a loop runs nobody knows how often.

    Raises:
        BrokenNodeError: a node has inputs that its operator does not take.
    """
    try:
        return sum(_of_node(node, values) for node in graph.node)
    except OpenShapeError:
        return None


def _of_node(node: onnx.NodeProto, values: Values) -> int:
    bodies = [macs(each, values) for each in inner_graphs(node)]
    if None in bodies or (node.op_type != "If" and any(bodies)):
        raise OpenShapeError
    most = max((count for count in bodies if count is not None), default=0)
    if node.op_type in NOT_COUNTED:
        raise OpenShapeError
    count = COUNTED.get(node.op_type)
    return most if count is None else count(node, values)


def _input(node: onnx.NodeProto, index: int, values: Values, rank: int | None = None) -> tuple[int, ...]:
    """The shape of an input; with a rank: of that many dimensions, else of one at least.

    Raises:
        OpenShapeError: its shape is open, or the operator is not a standard one and takes another.
        BrokenNodeError: a standard operator has no such input, or one of another rank.
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


def _convolution(weight: int) -> Callable[[onnx.NodeProto, Values], int]:
    """Each number of the output is a sum over the kernel and the input channels of its group."""

    def count(node: onnx.NodeProto, values: Values) -> int:
        _, *window = _input(node, weight, values)
        return math.prod(_output(node, values)) * math.prod(window)

    return count


def _transposed_convolution(node: onnx.NodeProto, values: Values) -> int:
    """Each number of the input goes to the kernel of each output channel of its group."""
    _, *window = _input(node, 1, values)
    return math.prod(_input(node, 0, values)) * math.prod(window)


def _matrix_product(node: onnx.NodeProto, values: Values) -> int:
    return math.prod(_output(node, values)) * _input(node, 0, values)[-1]


def _gemm(node: onnx.NodeProto, values: Values) -> int:
    rows_first = integer(node, "transA", 0) == 1
    return math.prod(_output(node, values)) * _input(node, 0, values)[0 if rows_first else -1]


def _block_quantized_product(node: onnx.NodeProto, values: Values) -> int:
    """MatMulNBits of ONNX Runtime, whose weights are packed: it says their true size itself."""
    width = integer(node, "K", 0)
    if width < 0:
        raise OpenShapeError
    return math.prod(_output(node, values)) * width


def _recurrent(node: onnx.NodeProto, values: Values) -> int:
    """At each step of each item, the input's weights and the state's, once."""
    length, batch, _ = _input(node, 0, values, rank=3)
    weights = sum(math.prod(_input(node, index, values)) for index in (1, 2))
    return length * batch * weights


def _einstein_sum(node: onnx.NodeProto, values: Values) -> int:
    """One product for each combination of the indices."""
    terms = text(node, "equation").replace(" ", "").partition("->")[0].split(",")
    if "..." in "".join(terms) or len(terms) != len(node.input):
        raise OpenShapeError
    sizes: dict[str, int] = {}
    for index, term in enumerate(terms):
        if term:  # an empty one is for a scalar
            sizes |= dict(zip(term, _input(node, index, values, rank=len(term)), strict=True))
    return math.prod(sizes.values()) if len(terms) > 1 else 0


COUNTED: Mapping[str, Callable[[onnx.NodeProto, Values], int]] = {
    "Conv": _convolution(1),
    "FusedConv": _convolution(1),
    "ConvInteger": _convolution(1),
    "DeformConv": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    "MatMul": _matrix_product,
    "FusedMatMul": _matrix_product,
    "MatMulInteger": _matrix_product,
    "QLinearMatMul": _matrix_product,
    "MatMulNBits": _block_quantized_product,
    "Gemm": _gemm,
    "FusedGemm": _gemm,
    "Einsum": _einstein_sum,
    "RNN": _recurrent,
    "GRU": _recurrent,
    "LSTM": _recurrent,
}
NOT_COUNTED = frozenset(
    {"Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention", "QGemm", "FusedAttention"}
)
"""Whole blocks whose products stand in no shape of theirs."""
