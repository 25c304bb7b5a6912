"""Prepare a network of the `onnx` package for serving: any batch size, clear names, a newer opset."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

from router_tools.demo.images import IMAGE_SIDE

INPUT_NAME = "images"
OUTPUT_NAME = "probabilities"
CLASSES = 1000
# Per-channel quantization needs 13; every recent onnxruntime supports 17.
OPSET = 17
_PREFIX_OF_EXPORTER = "gpu_0/"
_SHAPE_OF_SCORES = "shape_of_scores"


def servable(source: Any, name: str) -> Any:
    """Return the network with input `images` [batch, 3, 224, 224] and output `probabilities` [batch, 1000].

    Args:
        source: the ModelProto of the `onnx` package; its weights remain ConstantOfShape nodes.
        name: name of the new graph.

    Returns:
        A new ModelProto.
    """
    nodes = _flat_before_softmax(_without_dropout(source.graph.node))
    _rename(nodes, _new_names(source.graph))
    graph = helper.make_graph(
        [_as_pairwise_sum(node) for node in nodes],
        name,
        inputs=[_batch_of(INPUT_NAME, 3, IMAGE_SIDE, IMAGE_SIDE)],
        outputs=[_batch_of(OUTPUT_NAME, CLASSES)],
        initializer=_initializers(source.graph),
    )
    opset = helper.make_opsetid("", source.opset_import[0].version)
    ir_version = helper.find_min_ir_version_for([helper.make_opsetid("", OPSET)])
    model = helper.make_model(graph, opset_imports=[opset], ir_version=ir_version)
    return version_converter.convert_version(model, OPSET)


def _without_dropout(nodes: Iterable[Any]) -> list[Any]:
    """Remove Dropout, which does nothing outside training and is not supported by some providers."""
    dropped = {node.output[0]: node.input[0] for node in nodes if node.op_type == "Dropout"}
    kept = [_copy(node) for node in nodes if node.op_type != "Dropout"]
    _rename(kept, dropped)
    return kept


def _flat_before_softmax(nodes: list[Any]) -> list[Any]:
    """Apply Softmax to [batch, classes]; SqueezeNet applies it to [batch, classes, 1, 1]."""
    softmax = nodes[-1]
    flatten = helper.make_node("Reshape", [softmax.input[0], _SHAPE_OF_SCORES], ["scores"])
    softmax.input[0] = "scores"
    return [*nodes[:-1], flatten, softmax]


def _as_pairwise_sum(node: Any) -> Any:
    """Replace a Sum of two inputs by Add, which CoreML and int8 kernels support."""
    if node.op_type == "Sum" and len(node.input) == 2:
        return helper.make_node("Add", node.input, node.output)
    return node


def _initializers(graph: Any) -> list[Any]:
    flat = numpy_helper.from_array(np.array([-1, CLASSES], dtype=np.int64), _SHAPE_OF_SCORES)
    used = {name for node in graph.node for name in node.input}
    reshapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    kept = [_copy(each) for each in graph.initializer if each.name in used]
    free = [_with_free_batch(each) if each.name in reshapes else each for each in kept]
    for each in free:
        each.name = each.name.removeprefix(_PREFIX_OF_EXPORTER)
    return [*free, flat]


def _with_free_batch(shape: Any) -> Any:
    """Return the shape of a Reshape with -1 instead of the batch size 1."""
    sizes = numpy_helper.to_array(shape).copy()
    sizes[0] = -1
    return numpy_helper.from_array(sizes, shape.name)


def _new_names(graph: Any) -> dict[str, str]:
    constants = {each.name for each in graph.initializer}
    names = {name for node in graph.node for name in (*node.input, *node.output)}
    renamed = {name: name.removeprefix(_PREFIX_OF_EXPORTER) for name in names}
    (image,) = (each.name for each in graph.input if each.name not in constants)
    return renamed | {image: INPUT_NAME, graph.output[0].name: OUTPUT_NAME}


def _rename(nodes: Iterable[Any], names: dict[str, str]) -> None:
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _batch_of(name: str, *sizes: int) -> Any:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *sizes])


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
