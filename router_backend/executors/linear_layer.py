"""A minimal model with real outputs: one linear layer with the same weights in every variant."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from router_backend.errors import ConfigurationError

Array = npt.NDArray[np.float32]


class LinearLayer:
    """output = input · weights, with weights that depend only on their shape.

    Args:
        config: a model configuration in JSON form with batching, one input [D] and one output [M], both
            TYPE_FP32.

    Raises:
        ConfigurationError: the model does not batch or has other tensors.

    Attributes:
        output_name: the name of the output.
        weights: shape [D, M].
    """

    SEED = 0

    def __init__(self, config: Mapping[str, Any]) -> None:
        if config["max_batch_size"] < 1:
            raise _mismatch("max_batch_size", "at least 1", f"{config['max_batch_size']}")
        shape = _width("input", config["input"]), _width("output", config["output"])
        self.output_name: str = config["output"][0]["name"]
        self.weights = np.random.default_rng(self.SEED).standard_normal(shape, dtype=np.float32)

    def run(self, items: Array) -> Array:
        """Return the outputs, of shape [batch, M], for inputs of shape [batch, D]."""
        outputs: Array = items @ self.weights
        return outputs


def _width(kind: str, tensors: Sequence[Mapping[str, Any]]) -> int:
    """Return the dimension of the only tensor, without the batch."""
    found = ", ".join(f"{each['name']} {each['data_type']} {each['dims']}" for each in tensors)
    dims: list[int] = [size for each in tensors if each["data_type"] == "TYPE_FP32" for size in each["dims"]]
    if len(tensors) != 1 or len(dims) != 1 or dims[0] < 1:
        raise _mismatch(kind, "one tensor, TYPE_FP32 with one fixed dimension", found or "none")
    return dims[0]


def _mismatch(path: str, expected: str, found: str) -> ConfigurationError:
    return ConfigurationError(where="config.pbtxt", path=path, expected=expected, found=found)
