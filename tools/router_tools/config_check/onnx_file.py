"""Checks an ONNX file and the tensors in it, without running it."""

import importlib.util
from pathlib import Path
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from router_backend.errors import ConfigurationError, Problems
from router_backend.executors.onnx_contract import ONNX_TYPES, TensorSpec, check_tensors
from router_backend.path_kind import REGULAR_FILE, path_kind, read_bytes

CONTENT = "an ONNX model"
_TENSOR = MappingProxyType({"name": "", "data_type": "", "dims": ()})
_OTHER_SHAPES = frozenset({"reshape", "allow_ragged_batch"})


def check_onnx_file(path: Path, config: Any) -> None:
    """Check that a file is an ONNX model with the tensors that config.pbtxt declares.

    Nothing is checked without the package `onnx`, or if the model is a folder.

    Args:
        path: the file.
        config: the `inference.ModelConfig` message of the model.

    Raises:
        ConfigurationError: everything that is wrong.
    """
    if importlib.util.find_spec("onnx") is None or path_kind(path) != REGULAR_FILE:
        return
    graph = _graph(path)
    constants = {each.name for each in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    members: dict[str, Any] = json_format.MessageToDict(config, preserving_proto_field_name=True)
    problems = Problems()
    for kind, found in (("input", inputs), ("output", list(graph.output))):
        declared = [{**_TENSOR, **each} for each in members.get(kind, ())]
        if config.backend != "python":
            declared, found = _as_triton_compares(kind, declared, found)
        if declared and all(each.type.tensor_type.HasField("shape") for each in found):
            with problems.collect():
                check_tensors(kind, declared, list(map(_spec, found)), config.max_batch_size)
    problems.raise_if_any()


def _graph(path: Path) -> Any:
    import onnx

    content = read_bytes(path, CONTENT)
    try:
        graph = onnx.load_model_from_string(content).graph
    except DecodeError as error:
        raise ConfigurationError(where=str(path), expected=CONTENT, found=f"an error: {error}") from None
    if not graph.output:
        found = "an empty file" if not content else "one without an output"
        raise ConfigurationError(where=str(path), expected=CONTENT, found=found, fix="export it again")
    return graph


def _as_triton_compares(
    kind: str, declared: list[dict[str, Any]], found: list[Any]
) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return what Triton's ONNX Runtime backend compares: some outputs are enough.

    Nothing is compared where it has more types than this project's executor, or gives the model other shapes
    than the client does.
    """
    if any(each["data_type"] not in ONNX_TYPES or each.keys() & _OTHER_SHAPES for each in declared):
        return [], []
    names = {each["name"] for each in declared}
    if kind == "output" and names <= {each.name for each in found}:
        found = [each for each in found if each.name in names]
    return declared, found


def _spec(value: Any) -> TensorSpec:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    onnx_type = f"tensor({TensorProto.DataType.Name(tensor.elem_type).lower()})"
    sizes = (each.dim_value if each.dim_value > 0 else None for each in tensor.shape.dim)
    return TensorSpec(value.name, onnx_type, tuple(sizes))
