"""Walks through a graph and the graphs inside its nodes."""

from collections.abc import Iterator

import onnx

STANDARD_DOMAINS = ("", "ai.onnx")


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and all graphs inside it."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from graphs(inner)


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of the graph and of all graphs inside it."""
    for each in graphs(graph):
        yield from each.node


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The constants that a graph and its subgraphs store: initializers and values of Constant nodes."""
    for each in graphs(graph):
        yield from each.initializer
        yield from (sparse.values for sparse in each.sparse_initializer)
        for node in each.node:
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The branches or the body of a node such as If or Loop."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def integer(node: onnx.NodeProto, name: str, default: int) -> int:
    """An attribute that is a whole number."""
    return next((int(each.i) for each in node.attribute if each.name == name), default)


def text(node: onnx.NodeProto, name: str) -> str:
    """An attribute that is a text; empty: there is none."""
    return next((each.s.decode() for each in node.attribute if each.name == name), "")


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators; 0: it names none."""
    return max((each.version for each in model.opset_import if each.domain in STANDARD_DOMAINS), default=0)
