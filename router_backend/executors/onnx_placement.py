"""Which execution providers run how many nodes of an ONNX model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

MOST_KINDS = 5
"""How many kinds of nodes a text names."""


class Placement(NamedTuple):
    """Where the nodes of a model run, as ONNX Runtime has planned it.

    Args:
        provider: the execution provider that should run them.
        nodes: how many there are.
        elsewhere: the kinds of those that other providers run, with their numbers, by provider.

    Examples:
        >>> placement = Placement("CUDAExecutionProvider", 42, {"CPUExecutionProvider": Counter(TopK=2)})
        >>> str(placement)
        'CUDAExecutionProvider runs 40 of 42 nodes; CPUExecutionProvider runs TopK ×2'
        >>> placement.is_complete
        False
    """

    provider: str
    nodes: int
    elsewhere: dict[str, Counter[str]]

    @classmethod
    def of(cls, provider: str, subgraphs: Iterable[Any]) -> Placement:
        """Return the placement in the subgraphs that ONNX Runtime reports."""
        kinds: dict[str, Counter[str]] = {}
        for subgraph in subgraphs:
            kinds.setdefault(subgraph.ep_name, Counter()).update(_kinds(subgraph.get_nodes()))
        total = sum(counter.total() for counter in kinds.values())
        return cls(provider, total, {name: each for name, each in kinds.items() if name != provider})

    @property
    def is_complete(self) -> bool:
        """Whether the provider runs all nodes."""
        return not self.elsewhere

    def __str__(self) -> str:
        """Return it in words."""
        others = sum(counter.total() for counter in self.elsewhere.values())
        texts = [f"{self.provider} runs {self.nodes - others} of {self.nodes} nodes"]
        texts += [f"{name} runs {_listed(counter)}" for name, counter in self.elsewhere.items()]
        return "; ".join(texts)


def _kinds(nodes: Sequence[Any]) -> list[str]:
    return [f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in nodes]


def _listed(kinds: Counter[str]) -> str:
    named = [f"{kind} ×{count}" for kind, count in kinds.most_common(MOST_KINDS)]
    return ", ".join([*named, "…"] if len(kinds) > MOST_KINDS else named)
