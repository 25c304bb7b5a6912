"""Analysis of an ONNX file: its `ModelCharacteristics`, without running it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import onnx
from onnx.inliner import inline_local_functions

from router_backend.analysis.broken_content import invalid, reading
from router_backend.analysis.constants import BITS, Constant, learned_constants, strip_values
from router_backend.analysis.graph import STANDARD_DOMAINS, graphs, nodes, opset_of
from router_backend.analysis.macs import macs
from router_backend.analysis.onnx_file import read_onnx
from router_backend.analysis.quantization import quantization
from router_backend.analysis.shapes import Value, dynamic_dimensions, infer
from router_backend.core.records.characteristics import ModelCharacteristics

CONTROL_FLOW = ("If", "Loop", "Scan")
CONSTANTS = ("Constant", "ConstantOfShape")
LARGEST_COUNT = 10**18
"""A million times the count of the largest models."""


def analyze_onnx(path: Path, model_name: str = "") -> ModelCharacteristics:
    """Return the characteristics of the model in an ONNX file.

    External data must exist but is not read. MACs and activations are computed for the declared input shapes,
    with 1 for a dynamic first dimension.

    Args:
        path: the ONNX file, of opset 7 to the newest opset that the installed package `onnx` supports.
        model_name: the name of the model; if empty, the name of the file.

    Raises:
        ConfigurationError: the file does not exist or does not contain a valid model.
    """
    with reading(path, "reading the graph"):
        model = read_onnx(path)
    with reading(path, "looking for its constants"):
        constants = learned_constants(model.graph)
        strip_values(model.graph)
    with reading(path, "inlining its functions"):
        if model.functions:
            model = inline_local_functions(model)
    with reading(path, "inferring shapes"):
        dynamic = dynamic_dimensions(model.graph)
        values = infer(model)
    with reading(path, "counting its work"):
        found = _characteristics(model_name or path.stem, model, constants, values, dynamic)
    _check_counts(path, found)
    return found


def _characteristics(
    name: str,
    model: onnx.ModelProto,
    constants: Sequence[Constant],
    values: Mapping[str, Value],
    dynamic: tuple[str, ...],
) -> ModelCharacteristics:
    operators = Counter(map(_operator, nodes(model.graph)))
    return ModelCharacteristics(
        model_name=name,
        parameter_count=sum(constant.elements for constant in constants),
        parameter_bytes=sum(-(-constant.elements * BITS[constant.data_type] // 8) for constant in constants),
        macs=macs(model.graph, values),
        activation_bytes=_activation_bytes(model.graph, values),
        operators=MappingProxyType(dict(operators.most_common())),
        dynamic_dimensions=dynamic,
        control_flow=tuple(name for name in CONTROL_FLOW if name in operators),
        quantization=quantization(operators, {each.data_type for each in constants if each.elements > 1}),
        opset=opset_of(model),
    )


def _check_counts(path: Path, found: ModelCharacteristics) -> None:
    """Reject implausible counts, which follow from corrupt shapes."""
    for name in ("parameter_bytes", "macs", "activation_bytes"):
        count = getattr(found, name)
        if count is not None and count > LARGEST_COUNT:
            raise invalid(path, "shapes of a valid model", f"shapes with {name} above {LARGEST_COUNT}")


def _operator(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in STANDARD_DOMAINS else f"{node.domain}.{node.op_type}"


def _activation_bytes(graph: onnx.GraphProto, values: Mapping[str, Value]) -> int | None:
    """Return the size of all node outputs that are used, without constants; `None` if a shape is unknown."""
    total = 0
    for name in _activations(graph):
        size_bytes = values[name].size_bytes if name in values else None
        if size_bytes is None:
            return None
        total += size_bytes
    return total


def _activations(graph: onnx.GraphProto) -> Iterator[str]:
    read = {name for node in nodes(graph) for name in node.input}
    read |= {value.name for each in graphs(graph) for value in each.output}
    for node in nodes(graph):
        if node.op_type not in CONSTANTS:
            yield from (name for name in node.output if name in read)
