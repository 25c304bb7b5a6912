"""What broken content makes readers of ONNX files raise becomes one sentence with the file and the step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import NodeProto
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError

from router_backend.errors import ConfigurationError

BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # what `onnx` raises from its C++ part, and RecursionError
    TypeError,
    ValueError,
    DecodeError,
    InferenceError,
    ValidationError,
)
"""The kinds that files with flipped and missing bytes were seen to raise, and their relatives."""
LONGEST_REASON = 200


class BrokenNodeError(Exception):
    """A node cannot be as it is.

    Args:
        node: which.
        expected: what the node should have or be.
        found: what it has or is instead.
    """

    def __init__(self, node: NodeProto, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found
        self.name = node.name
        self.operator = node.op_type


@contextmanager
def reading(path: Path, step: str) -> Iterator[None]:
    """Around a step that reads the content of a file.

    Args:
        path: the file.
        step: what is done, as in "while counting the work".

    Raises:
        ConfigurationError: the content is broken.
    """
    try:
        yield
    except BrokenNodeError as error:
        raise ConfigurationError(
            where=f"{path}, node '{error.name}' ({error.operator})",
            expected=error.expected,
            found=error.found,
            fix="export the model again",
        ) from None
    except BROKEN as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
        raise ConfigurationError(
            where=str(path),
            expected="a model that can be analyzed",
            found=f"{reason}, while {step}",
            fix="export the model again",
        ) from error
