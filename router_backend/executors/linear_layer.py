"""The smallest model with true answers: one linear layer, the same in every variant."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from router_backend.errors import ConfigurationError

Array = npt.NDArray[np.float32]


class LinearLayer:
    """output = input · weights; the weights depend on nothing but their shape.

    Args:
        config: a model configuration in its JSON form, with one input [D] and one output [M], both
            TYPE_FP32, in batches.

    Raises:
        ConfigurationError: its tensors are others.

    Attributes:
        weights: shape [D, M].
    """

    SEED = 0

    def __init__(self, config: Mapping[str, Any]) -> None:
        if config["max_batch_size"] < 1:
            raise ConfigurationError(
                where="config.pbtxt",
                path="max_batch_size",
                expected="at least 1",
                found=f"{config['max_batch_size']}",
            )
        shape = _width("input", config["input"]), _width("output", config["output"])
        self.output_name: str = config["output"][0]["name"]
        self.weights = np.random.default_rng(self.SEED).standard_normal(shape, dtype=np.float32)

    def run(self, items: Array) -> Array:
        """The outputs, shape [batch, M], of inputs of shape [batch, D]."""
        outputs: Array = items @ self.weights
        return outputs


def _width(kind: str, tensors: Sequence[Mapping[str, Any]]) -> int:
    """The one dimension, without the batch, of the one tensor there may be."""
    found = ", ".join(f"{each['name']} {each['data_type']} {each['dims']}" for each in tensors)
    dims: list[int] = [size for each in tensors if each["data_type"] == "TYPE_FP32" for size in each["dims"]]
    if len(tensors) != 1 or len(dims) != 1 or dims[0] < 1:
        raise ConfigurationError(
            where="config.pbtxt",
            path=kind,
            expected="one tensor, TYPE_FP32 with one fixed dimension",
            found=found or "none",
        )
    return dims[0]
