"""Analysis of an ONNX file: its `ModelCharacteristics`, without running it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import onnx
from onnx.inliner import inline_local_functions

from router_backend.analysis.broken_content import invalid, reading
from router_backend.analysis.constants import Constant, constants_of, strip_values
from router_backend.analysis.graph import STANDARD_DOMAINS, constant_values, graphs, nodes, opset_of
from router_backend.analysis.macs import macs
from router_backend.analysis.onnx_file import read_onnx
from router_backend.analysis.onnx_runtime_operators import standardize
from router_backend.analysis.quantization import quantization
from router_backend.analysis.shapes import Value, close_batch, dynamic_dimensions, infer
from router_backend.core.records.characteristics import ModelCharacteristics

CONTROL_FLOW = ("If", "Loop", "Scan")
SPATIAL = ("Conv", "ConvTranspose", "AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool")
"""Operators with a batch, channels, and the spatial dimensions that they work along."""
QUANTIZED = {"QuantizeLinear"}
LARGEST_COUNT = 10**18
"""A million times the count of the largest models."""


def analyze_onnx(path: Path, model_name: str = "") -> ModelCharacteristics:
    """Return the characteristics of the model in an ONNX file.

    External data must exist but is not read. MACs and activations are computed for the declared input shapes,
    with 1 for a dynamic first dimension that is the batch.

    Args:
        path: the ONNX file, of opset 7 to the newest opset that the installed package `onnx` supports.
        model_name: the name of the model; if empty, the name of the file.

    Raises:
        ConfigurationError: the file does not exist or does not contain a valid model.
    """
    with reading(path, "reading the graph"):
        model = read_onnx(path)
    with reading(path, "looking for its constants"):
        constants = constants_of(model.graph)
        strip_values(model.graph)
    with reading(path, "inlining its functions"):
        if model.functions:
            model = inline_local_functions(model)
    with reading(path, "inferring shapes"):
        found = _described(model_name or path.stem, model, constants)
        standardize(model.graph)
        close_batch(model)
        dynamic = dynamic_dimensions(model.graph)
        values = infer(model)
    with reading(path, "counting its work"):
        found = replace(
            found,
            macs=macs(model.graph, values),
            activation_bytes=_activation_bytes(model.graph, values),
            dynamic_dimensions=dynamic,
            spatial_dimensions=_spatial_dimensions(model.graph, values),
        )
    _check_counts(path, found)
    return found


def _described(name: str, model: onnx.ModelProto, constants: Sequence[Constant]) -> ModelCharacteristics:
    """Return what the operators and the constants of a model say, without its shapes."""
    operators = Counter(map(_operator, nodes(model.graph)))
    fixed = constant_values(model.graph)
    working = (node.op_type for node in nodes(model.graph) if not fixed.issuperset(node.output))
    return ModelCharacteristics(
        model_name=name,
        parameter_count=sum(constant.learned for constant in constants),
        parameter_bytes=sum(constant.size_bytes for constant in constants),
        operators=MappingProxyType(dict(operators.most_common())),
        control_flow=tuple(name for name in CONTROL_FLOW if name in operators),
        quantization=quantization(working, {each.data_type for each in constants if each.learned > 1}),
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


def _spatial_dimensions(graph: onnx.GraphProto, values: Mapping[str, Value]) -> int:
    """Return the largest number of dimensions that a convolution or pool works along; 0 if there is none."""
    ranks = (len(values[node.input[0]].shape) for node in nodes(graph) if _is_spatial(node, values))
    return max((rank - 2 for rank in ranks), default=0)


def _is_spatial(node: onnx.NodeProto, values: Mapping[str, Value]) -> bool:
    return node.op_type in SPATIAL and node.input[0] in values


def _activation_bytes(graph: onnx.GraphProto, values: Mapping[str, Value]) -> int | None:
    """Return the size of all values that are stored between nodes; `None` if a shape is unknown."""
    total = 0
    for name in _activations(graph):
        size_bytes = values[name].size_bytes if name in values else None
        if size_bytes is None:
            return None
        total += size_bytes
    return total


def _activations(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield the node outputs that are used, without constants and without the unquantized side of QDQ pairs.

    A runtime fuses a node between DequantizeLinear and QuantizeLinear with these: it reads and writes the
    quantized values only.
    """
    readers: dict[str, set[str]] = defaultdict(set)
    for node in nodes(graph):
        for name in node.input:
            readers[name].add(node.op_type)
    for each in graphs(graph):
        for value in each.output:
            readers[value.name].add("")
    fixed = constant_values(graph)
    for node in nodes(graph):
        if node.op_type != "DequantizeLinear":
            stored = (name for name in node.output if name not in fixed)
            yield from (name for name in stored if readers.get(name, QUANTIZED) != QUANTIZED)
