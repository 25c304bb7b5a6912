"""ONNX Runtime's operators by their standard equivalents, and the roles of inputs of quantized operators."""

import sys
from collections.abc import Container, Mapping

import onnx
from onnx import TensorProto

from router_backend.analysis.graph import STANDARD_DOMAINS, graphs, integer

DOMAIN = "com.microsoft"
PACKED = "MatMulNBits"
"""A matrix product whose weights of K x N numbers of a few bits are packed in bytes."""

UNARY = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax")

DATA: Mapping[str, Container[int]] = {
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", *(f"QLinear{name}" for name in UNARY)), (0,)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (0, 1)),
    **dict.fromkeys(("QLinearMatMul", "QLinearAdd", "QLinearMul"), (0, 3)),
    "QLinearConv": (0, 3, 8),
    "QLinearConcat": range(2, sys.maxsize, 3),
    "QGemm": (0, 3, 6),
    "MatMulIntegerToFloat": (0, 1, 6),
    "DynamicQuantizeMatMul": (0, 1, 4),
    PACKED: (0, 1, 5),
}
"""Positions of the data among the inputs of quantized operators; the others are scales and zero points."""

EQUIVALENTS: Mapping[str, str] = {
    **{f"QLinear{name}": name for name in (*UNARY, "Add", "Concat", "Conv", "MatMul", "Mul")},
    **dict.fromkeys(("BiasGelu", "FastGelu", "Gelu", "QuickGelu", "SkipLayerNormalization"), "Identity"),
    "FusedConv": "Conv",
    "FusedGemm": "Gemm",
    "QGemm": "Gemm",
    "MatMulIntegerToFloat": "MatMulInteger",
    "DynamicQuantizeMatMul": "MatMul",
    PACKED: "MatMul",
}
"""Standard operators with the same output shape and the same multiply-accumulates."""


def scales(node: onnx.NodeProto) -> list[str]:
    """Return the inputs that are scales and zero points."""
    data = DATA.get(node.op_type)
    return [] if data is None else [name for index, name in enumerate(node.input) if index not in data]


def standardize(graph: onnx.GraphProto) -> None:
    """Replace operators by standard ones in place, so that their shapes and their work can be inferred.

    A packed weight is replaced by one without values that has the shape of what it holds.
    """
    for each in graphs(graph):
        for node in each.node:
            operator = EQUIVALENTS.get(node.op_type)
            known = node.domain in (DOMAIN, *STANDARD_DOMAINS) and integer(node, "channels_last", 0) == 0
            if operator is not None and known and node.input and node.output:
                _replace(each, node, operator)


def _replace(graph: onnx.GraphProto, node: onnx.NodeProto, operator: str) -> None:
    data = DATA.get(node.op_type, range(len(node.input)))
    inputs = [name for index, name in enumerate(node.input) if index in data]
    if node.op_type == PACKED:
        sizes = [integer(node, "K", 0), integer(node, "N", 0)]
        if min(sizes) < 1:
            return
        inputs[1:] = [f"{node.output[0]} unpacked"]
        graph.initializer.add(name=inputs[1], data_type=TensorProto.FLOAT, dims=sizes)
    del node.input[:]
    node.input.extend(inputs)
    node.op_type, node.domain = operator, ""
