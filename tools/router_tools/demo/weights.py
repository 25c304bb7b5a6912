"""Seeded random weights, scaled so that activations neither vanish nor explode in a deep network."""

from collections.abc import Mapping
from math import prod, sqrt
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

Array = npt.NDArray[np.float32]

# The last normalization of each residual branch: at 1 every block would double the variance, up to 2^16.
_END_OF_RESIDUAL_BRANCH = "branch2c_bn_s"
_RESIDUAL_SCALE = 0.25
# Inputs of BatchNormalization after the first: scale, shift, mean, variance.
_NORMALISATION = (1.0, 0.0, 0.0, 1.0)


def fill_with_random_weights(model: Any, seed: int) -> None:
    """Replace every constant weight of a network, in place.

    Convolutions and matrices get He's initialization (normal, deviation sqrt(2 / fan-in), for ReLU; He et al.
    2015, https://arxiv.org/abs/1502.01852), biases 0, normalizations scale 1, mean 0 and variance 1.

    Args:
        model: ModelProto whose weights are ConstantOfShape nodes or float initializers.
        seed: the same seed gives the same weights, in any order of the nodes.
    """
    graph = model.graph
    shapes = _weight_shapes(graph)
    weights = [
        numpy_helper.from_array(_weight(node, position, shapes[name], seed), name)
        for node in graph.node
        for position, name in enumerate(node.input)
        if name in shapes
    ]
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    used = {name for node in nodes for name in node.input}
    others = [each for each in graph.initializer if each.name in used and each.name not in shapes]
    _replace(graph.node, nodes)
    _replace(graph.initializer, [*others, *weights])


def _weight_shapes(graph: Any) -> Mapping[str, tuple[int, ...]]:
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    floats = {name: array.shape for name, array in constants.items() if array.dtype == np.float32}
    made = {
        node.output[0]: tuple(constants[node.input[0]].tolist())
        for node in graph.node
        if node.op_type == "ConstantOfShape"
    }
    return floats | made


def _weight(node: Any, position: int, shape: tuple[int, ...], seed: int) -> Array:
    name = node.input[position]
    if node.op_type == "BatchNormalization":
        at_end = position == 1 and _END_OF_RESIDUAL_BRANCH in name
        return np.full(shape, _RESIDUAL_SCALE if at_end else _NORMALISATION[position - 1], dtype=np.float32)
    if position > 1:
        return np.zeros(shape, dtype=np.float32)
    rng = np.random.default_rng([seed, crc32(name.encode())])
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(sqrt(2 / prod(shape[1:])))


def _replace(field: Any, messages: list[Any]) -> None:
    copies = [type(message).FromString(message.SerializeToString()) for message in messages]
    del field[:]
    field.extend(copies)
