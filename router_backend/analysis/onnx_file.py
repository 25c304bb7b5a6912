"""Reading of ONNX files without their external data; rejects files that no runtime could run."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from router_backend.analysis.broken_content import invalid
from router_backend.analysis.external_data import check_external_data
from router_backend.analysis.graph import inner_graphs, tensors
from router_backend.analysis.operators import check_operators
from router_backend.path_kind import REGULAR_FILE, path_kind

LARGEST_BYTES = 2**31 - 1
"""The largest message that protobuf can read."""


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read the model in a file, without its external data.

    Raises:
        ConfigurationError: the file does not exist or does not contain a valid ONNX model.
        BrokenNodeError: a node is invalid.
    """
    model = _parse(path)
    check_operators(path, model)
    _check_shapes(path, model.graph)
    check_external_data(path, model.graph)
    _check_order(path, model.graph)
    return model


def _parse(path: Path) -> onnx.ModelProto:
    kind = path_kind(path)
    if kind != REGULAR_FILE:
        raise invalid(path, "an ONNX file", kind, "name another")
    try:
        size_bytes = path.stat().st_size
        if size_bytes > LARGEST_BYTES:
            fix = "store the weights beside it, with onnx.save(..., save_as_external_data=True)"
            raise invalid(path, "at most 2 GB, which is what protobuf can read", f"{size_bytes} bytes", fix)
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise invalid(path, "an ONNX file", str(error.strerror), "name another") from None
    except DecodeError:
        found = "one that is truncated or of another kind"
        raise invalid(path, "an ONNX file", found, "export it again") from None
    if not model.graph.node:
        raise invalid(path, "a model with operators", "none", "export it again")
    return model


def _check_shapes(path: Path, graph: onnx.GraphProto) -> None:
    for tensor in tensors(graph):
        if min(tensor.dims, default=0) < 0:
            where = f"{path}, tensor '{tensor.name}'"
            raise invalid(where, "a shape without negative sizes", f"{list(tensor.dims)}")


def _check_order(path: Path, graph: onnx.GraphProto, outer: frozenset[str] = frozenset()) -> None:
    """Check that each value is produced before it is used; `outer` are those of the enclosing graphs."""
    maker = {name: node for node in graph.node for name in node.output if name}
    given = outer | {each.name for each in (*graph.input, *graph.initializer)}
    given |= {each.values.name for each in graph.sparse_initializer}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, node in maker.items():
        sorter.add(name, *(each for each in node.input if each in maker))
        for needed in node.input:
            if needed and needed not in given and needed not in maker:
                where = f"{path}, node '{node.name}' ({node.op_type})"
                raise invalid(where, f"a node that produces the value '{needed}'", "none")
    try:
        sorter.prepare()
    except CycleError as error:
        raise invalid(path, "a graph without cycles", " -> ".join(error.args[1])) from None
    for node in graph.node:
        for inner in inner_graphs(node):
            _check_order(path, inner, given | maker.keys())
