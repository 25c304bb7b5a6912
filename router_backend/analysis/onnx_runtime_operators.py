"""ONNX Runtime's operators by their standard equivalents, and the roles of inputs of quantized operators."""

import sys
from collections.abc import Container, Mapping

import onnx
from onnx import TensorProto

from router_backend.analysis.graph import STANDARD_DOMAINS, graphs, integer

DOMAIN = "com.microsoft"
PACKED = "MatMulNBits"
"""A matrix product whose weights of K x N numbers of a few bits are packed in bytes."""

DATA: Mapping[str, Container[int]] = {
    "QuantizeLinear": (0,),
    "DequantizeLinear": (0,),
    "ConvInteger": (0, 1),
    "MatMulInteger": (0, 1),
    "MatMulIntegerToFloat": (0, 1, 6),
    "DynamicQuantizeMatMul": (0, 1, 4),
    PACKED: (0, 1, 5),
    "QLinearConv": (0, 3, 8),
    "QLinearMatMul": (0, 3),
    "QGemm": (0, 3, 6),
    "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3),
    "QLinearConcat": range(2, sys.maxsize, 3),
    "QLinearAveragePool": (0,),
    "QLinearGlobalAveragePool": (0,),
    "QLinearLeakyRelu": (0,),
    "QLinearSigmoid": (0,),
    "QLinearSoftmax": (0,),
}
"""Positions of the data among the inputs of quantized operators; the others are scales and zero points."""

EQUIVALENTS: Mapping[str, str] = {
    "FusedConv": "Conv",
    "FusedGemm": "Gemm",
    "BiasGelu": "Identity",
    "FastGelu": "Identity",
    "Gelu": "Identity",
    "QuickGelu": "Identity",
    "SkipLayerNormalization": "Identity",
    "DynamicQuantizeMatMul": "MatMul",
    "MatMulIntegerToFloat": "MatMulInteger",
    PACKED: "MatMul",
    "QLinearConv": "Conv",
    "QLinearMatMul": "MatMul",
    "QGemm": "Gemm",
    "QLinearAdd": "Add",
    "QLinearMul": "Mul",
    "QLinearConcat": "Concat",
    "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearLeakyRelu": "Identity",
    "QLinearSigmoid": "Identity",
    "QLinearSoftmax": "Identity",
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
