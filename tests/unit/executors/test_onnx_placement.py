from collections import Counter
from typing import Any, NamedTuple

import onnxruntime
import pytest

from router_backend.executors.onnx_placement import Placement

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Node(NamedTuple):
    op_type: str
    domain: str = ""


class Subgraph(NamedTuple):
    ep_name: str
    nodes: tuple[Node, ...]

    def get_nodes(self) -> tuple[Node, ...]:
        return self.nodes


def subgraphs() -> list[Any]:
    return [
        Subgraph(CUDA, (Node("Conv"), Node("Relu"))),
        Subgraph(CPU, (Node("TopK"), Node("Gelu", "com.microsoft"))),
        Subgraph(CUDA, (Node("Conv"),)),
        Subgraph(CPU, (Node("TopK"),)),
    ]


def test_nodes_of_other_providers_are_counted_by_kind() -> None:
    placement = Placement.of(CUDA, subgraphs())
    assert placement == (CUDA, 6, {CPU: Counter({"TopK": 2, "com.microsoft.Gelu": 1})})
    assert str(placement) == f"{CUDA} runs 3 of 6 nodes; {CPU} runs TopK ×2, com.microsoft.Gelu ×1"
    assert not placement.is_complete


def test_a_provider_that_runs_all_nodes_is_said_in_short() -> None:
    placement = Placement.of(CUDA, subgraphs()[:1])
    assert (str(placement), placement.is_complete) == (f"{CUDA} runs 2 of 2 nodes", True)


def test_many_kinds_are_not_all_named() -> None:
    nodes = tuple(Node(kind) for kind in "ABCDEFG")
    assert str(Placement.of(CUDA, [Subgraph(CPU, nodes)])).endswith("D ×1, E ×1, …")


@pytest.mark.skipif(
    not hasattr(onnxruntime, "OrtEpAssignedSubgraph"),
    reason="this onnxruntime does not say where nodes run",
)
def test_onnx_runtime_reports_what_is_read_here() -> None:
    for name in ("ep_name", "get_nodes"):
        assert hasattr(onnxruntime.OrtEpAssignedSubgraph, name)
    for name in ("op_type", "domain"):
        assert hasattr(onnxruntime.OrtEpAssignedNode, name)
