"""Check of the tensors in config.pbtxt against those of the ONNX file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router_backend.errors import ConfigurationError

# ONNX types by Triton type. Strings and bfloat16 are not supported: they have no plain numpy type.
ONNX_TYPES: Mapping[str, str] = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_UINT16": "tensor(uint16)",
    "TYPE_UINT32": "tensor(uint32)",
    "TYPE_UINT64": "tensor(uint64)",
    "TYPE_INT8": "tensor(int8)",
    "TYPE_INT16": "tensor(int16)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP64": "tensor(double)",
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of an ONNX file: a type is such as `tensor(float)`, `None` a dynamic dimension."""

    name: str
    onnx_type: str
    shape: tuple[int | None, ...]


def check_tensors(
    kind: str, declared: Sequence[Mapping[str, Any]], found: Sequence[TensorSpec], max_batch_size: int
) -> None:
    """Check that names, types and shapes declared in config.pbtxt match those found in the ONNX file.

    If `max_batch_size` is above 0, the `dims` in config.pbtxt do not include the batch dimension.

    Raises:
        ConfigurationError: the first mismatch.
    """
    by_name = {spec.name: spec for spec in found}
    names = [entry["name"] for entry in declared]
    if sorted(names) != sorted(by_name):
        expected = f"the {kind}s of the ONNX file, {_listed(by_name)}"
        raise _mismatch(kind, expected, _listed(names), "use the same names")
    for entry in declared:
        place = f"{kind} '{entry['name']}'"
        _check_type(place, entry, by_name[entry["name"]])
        _check_shape(place, entry, by_name[entry["name"]], max_batch_size)


def _check_type(place: str, entry: Mapping[str, Any], spec: TensorSpec) -> None:
    expected = {onnx_type: name for name, onnx_type in ONNX_TYPES.items()}.get(spec.onnx_type)
    if expected is None:
        expected = f"one of {', '.join(ONNX_TYPES)}"
        raise _mismatch(place, expected, spec.onnx_type, "change the model", where="ONNX file")
    if entry["data_type"] != expected:
        raise _mismatch(place, f"{expected}, as in the ONNX file ({spec.onnx_type})", entry["data_type"])


def _check_shape(place: str, entry: Mapping[str, Any], spec: TensorSpec, max_batch_size: int) -> None:
    dims = tuple(int(size) for size in entry["dims"])
    full = (-1, *dims) if max_batch_size > 0 else dims
    if max_batch_size > 0 and spec.shape and spec.shape[0] is not None:
        expected = f"a free batch dimension, since config.pbtxt has a max_batch_size of {max_batch_size}"
        found = f"a first dimension of {spec.shape[0]}"
        fix = "export the model with a free batch dimension, or set max_batch_size to 0 and write all dims"
        raise _mismatch(place, expected, found, fix, where="ONNX file")
    if len(full) != len(spec.shape) or not all(map(_fits, full, spec.shape)):
        expected = f"the shape of the ONNX file, {_shape(spec.shape)}"
        found = f"{_shape(full)}{' with the batch dimension' if max_batch_size > 0 else ''}"
        raise _mismatch(place, expected, found, "write the same dims")


def _mismatch(
    place: str, expected: str, found: str, fix: str = "", where: str = "config.pbtxt"
) -> ConfigurationError:
    return ConfigurationError(where=where, path=place, expected=expected, found=found, fix=fix)


def _fits(declared: int, found: int | None) -> bool:
    """Return whether a declared size matches that of the file, which may be dynamic."""
    return found is None or declared == found


def _shape(sizes: Sequence[int | None]) -> str:
    return "[" + ", ".join("-1" if size is None else str(size) for size in sizes) + "]"


def _listed(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
