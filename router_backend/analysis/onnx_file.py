"""Reads an ONNX file without its external data, and refuses one that no runtime could run."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper

from router_backend.analysis.graph import graphs, inner_graphs, nodes
from router_backend.errors import ConfigurationError

LARGEST_BYTES = 2**31 - 1
"""The most that protobuf can read."""
STANDARD_DOMAINS = ("", "ai.onnx")


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model in a file; tensors that are stored in other files stay there.

    Raises:
        ConfigurationError: there is no such file, or it holds no ONNX model that could run.
    """
    model = _parse(path)
    _check_opset(path, model)
    _check_external_data(path, model)
    _check_order(path, model.graph)
    return model


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators; 0: it names none."""
    return max((each.version for each in model.opset_import if each.domain in STANDARD_DOMAINS), default=0)


def _parse(path: Path) -> onnx.ModelProto:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > LARGEST_BYTES:
            raise ConfigurationError(
                f"{path}: expected at most 2 GB, which is what protobuf can read, found {size_bytes} bytes: "
                f"store the weights beside it, with onnx.save(..., save_as_external_data=True)"
            )
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ConfigurationError(f"{path}: expected an ONNX file, found: {error.strerror}") from None
    except DecodeError:
        raise ConfigurationError(
            f"{path}: expected an ONNX file, found one that is truncated or of another kind: export it again"
        ) from None
    if not model.graph.node:
        raise ConfigurationError(f"{path}: expected a model with operators, found none: export it again")
    return model


def _check_opset(path: Path, model: onnx.ModelProto) -> None:
    opset, newest = opset_of(model), onnx.defs.onnx_opset_version()
    if opset > newest:
        raise ConfigurationError(
            f"{path}: expected opset {newest} at the most, found {opset}: update the package 'onnx'"
        )
    functions = {(function.domain, function.name) for function in model.functions}
    for node in nodes(model.graph):
        if node.domain not in STANDARD_DOMAINS or (node.domain, node.op_type) in functions:
            continue
        if not onnx.defs.has(node.op_type, max_inclusive_version=max(1, opset), domain=""):
            raise ConfigurationError(
                f"{path}, node '{node.name}': expected an operator of opset {opset}, found '{node.op_type}': "
                f"export the model for an opset that has it"
            )


def _check_external_data(path: Path, model: onnx.ModelProto) -> None:
    for tensor in tensors(model.graph):
        if not external_data_helper.uses_external_data(tensor):
            continue
        stored = external_data_helper.ExternalDataInfo(tensor)
        file = (path.parent / stored.location).resolve()
        if not file.is_relative_to(path.parent.resolve()):
            raise ConfigurationError(
                f"{path}, tensor '{tensor.name}': expected data in the file's own folder, found "
                f"'{stored.location}': move it there and save the model again"
            )
        needed_bytes = (stored.offset or 0) + (stored.length or 0)
        if not file.is_file() or file.stat().st_size < needed_bytes:
            raise ConfigurationError(
                f"{path}, tensor '{tensor.name}': expected {needed_bytes} bytes of external data in "
                f"'{stored.location}', found fewer or no such file: copy it along with the model"
            )


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The constants that a graph and its subgraphs store: initializers and values of Constant nodes."""
    for each in graphs(graph):
        yield from each.initializer
        for node in each.node:
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")


def _check_order(path: Path, graph: onnx.GraphProto, outer: frozenset[str] = frozenset()) -> None:
    """Every value must be made by something, and by nothing that needs it."""
    maker = {name: node for node in graph.node for name in node.output if name}
    given = outer | {each.name for each in (*graph.input, *graph.initializer)}
    given |= {each.values.name for each in graph.sparse_initializer}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, node in maker.items():
        sorter.add(name, *(each for each in node.input if each in maker))
        for needed in node.input:
            if needed and needed not in given and needed not in maker:
                raise ConfigurationError(
                    f"{path}, node '{node.name}' ({node.op_type}): expected a value '{needed}' that "
                    f"something makes, found nothing that does: export the model again"
                )
    try:
        sorter.prepare()
    except CycleError as error:
        raise ConfigurationError(
            f"{path}: expected a graph without cycles, found {' -> '.join(error.args[1])}: "
            f"export the model again"
        ) from None
    for node in graph.node:
        for inner in inner_graphs(node):
            _check_order(path, inner, given | maker.keys())
