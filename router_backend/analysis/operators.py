"""Check of a model's operators against the definitions in its opset."""

from pathlib import Path

import onnx

from router_backend.analysis.broken_content import BrokenNodeError, invalid
from router_backend.analysis.graph import STANDARD_DOMAINS, nodes, opset_of


def check_operators(path: Path, model: onnx.ModelProto) -> None:
    """Check the nodes against the definitions of the standard operators.

    Raises:
        ConfigurationError: the opset is too new, or does not have an operator.
        BrokenNodeError: a node has too few inputs or outputs.
    """
    opset, newest = opset_of(model), onnx.defs.onnx_opset_version()
    if opset > newest:
        raise invalid(path, f"at most opset {newest}", f"{opset}", "update the package 'onnx'")
    functions = {(function.domain, function.name) for function in model.functions}
    for node in nodes(model.graph):
        if node.domain in STANDARD_DOMAINS and (node.domain, node.op_type) not in functions:
            _check(path, node, opset)


def _check(path: Path, node: onnx.NodeProto, opset: int) -> None:
    version = max(1, opset)
    if not onnx.defs.has(node.op_type, max_inclusive_version=version, domain=""):
        where, fix = f"{path}, node '{node.name}'", "export the model for an opset that has it"
        raise invalid(where, f"an operator of opset {opset}", f"'{node.op_type}'", fix)
    operator = onnx.defs.get_schema(node.op_type, max_inclusive_version=version, domain="")
    for kind, needed, found in (
        ("inputs", operator.min_input, len(node.input)),
        ("outputs", operator.min_output, len(node.output)),
    ):
        if found < needed:
            raise BrokenNodeError(node, f"at least {needed} {kind}", f"{found}")
