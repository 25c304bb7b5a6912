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
    """A node is invalid: it does not have what is expected, but what was found."""

    def __init__(self, node: NodeProto, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found
        self.name = node.name
        self.operator = node.op_type


def invalid(
    where: object, expected: str, found: str, fix: str = "export the model again"
) -> ConfigurationError:
    """Return the error about a file or a place in it."""
    return ConfigurationError(where=str(where), expected=expected, found=found, fix=fix)


@contextmanager
def reading(path: Path, step: str) -> Iterator[None]:
    """Convert errors raised within a step, such as "counting its work", that reads the content of a file.

    Raises:
        ConfigurationError: the content is invalid.
    """
    try:
        yield
    except BrokenNodeError as error:
        where = f"{path}, node '{error.name}' ({error.operator})"
        raise invalid(where, error.expected, error.found) from None
    except BROKEN as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
        raise invalid(path, "a model that can be analyzed", f"{reason}, while {step}") from error
