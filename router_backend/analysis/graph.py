"""Traversal of an ONNX graph and of the subgraphs in its nodes."""

from collections.abc import Iterator

import onnx

STANDARD_DOMAINS = ("", "ai.onnx")


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the graph and, recursively, its subgraphs."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from graphs(inner)


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of the graph and of its subgraphs."""
    for each in graphs(graph):
        yield from each.node


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield the constants of the graph and its subgraphs: initializers and values of Constant nodes."""
    for each in graphs(graph):
        yield from each.initializer
        yield from (sparse.values for sparse in each.sparse_initializer)
        for node in each.node:
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")


def constant_values(graph: onnx.GraphProto) -> set[str]:
    """Return the values that no input changes: constants, and what nodes compute from these alone.

    A runtime computes them once, when it loads the model.
    """
    found = {tensor.name for tensor in tensors(graph)}
    for node in nodes(graph):
        if found.issuperset(filter(None, node.input)) and not any(inner_graphs(node)):
            found.update(node.output)
    return found


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the branches or the body of a node such as If or Loop."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def integer(node: onnx.NodeProto, name: str, default: int) -> int:
    """Return the value of an integer attribute, or the default."""
    return next((int(each.i) for each in node.attribute if each.name == name), default)


def text(node: onnx.NodeProto, name: str) -> str:
    """Return the value of a string attribute; empty if the node has none."""
    return next((each.s.decode() for each in node.attribute if each.name == name), "")


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operator set; 0 if the model declares none."""
    return max((each.version for each in model.opset_import if each.domain in STANDARD_DOMAINS), default=0)
