"""Conversion of the errors that invalid ONNX files raise into `ConfigurationError`."""

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
    RuntimeError,  # raised by the C++ code of `onnx`; includes RecursionError
    TypeError,
    ValueError,
    DecodeError,
    InferenceError,
    ValidationError,
)
"""The errors observed with files that have flipped or missing bytes, and their base classes."""
LONGEST_REASON = 200


class BrokenNodeError(Exception):
    """A node is invalid.

    Args:
        node: the node.
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
    """Convert errors raised within a step that reads the content of a file.

    Args:
        path: the file.
        step: the step, to follow "while" in the message, such as "counting its work".

    Raises:
        ConfigurationError: the content is invalid.
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
