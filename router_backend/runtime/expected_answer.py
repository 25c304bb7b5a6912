"""What a variant must answer, so that a wrong answer counts as its failure and never reaches a client."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from router_backend.config.load import RouterSetup
from router_backend.core.records.outcome import Fault
from router_backend.runtime.error_classifier import INTERNAL, Failure

Answered = tuple[str, str, Sequence[int]]
"""An output of an answer: its name, Triton's name of its type (empty if not known), and its dimensions."""


class ExpectedOutput(NamedTuple):
    """An output: its name, Triton's name of its type, and whether an answer may be without it."""

    name: str
    data_type: str
    optional: bool


class ExpectedAnswer:
    """The outputs of a router model, as its configuration declares them.

    The dimensions behind the batch are not compared with those declared: Triton does not, either, and a model
    whose outputs it reshapes answers with others.

    Attributes:
        outputs: the outputs.
    """

    def __init__(self, setup: RouterSetup) -> None:
        optional = setup.parameters.optional_outputs
        self.outputs = tuple(
            ExpectedOutput(output.name, type_name(output.data_type), output.name in optional)
            for output in setup.signature.outputs
        )
        self._type_of = {output.name: output.data_type for output in self.outputs}
        self._optional = optional
        self._batched = setup.signature.max_batch_size > 0

    def failure_of(
        self, outputs: Iterable[Answered], wanted: Collection[str], batch_size: int
    ) -> Failure | None:
        """Return what is wrong with an answer; `None` if nothing is.

        Args:
            outputs: its outputs.
            wanted: the names of the outputs that the variant was asked for.
            batch_size: the number of items in the request.
        """
        found = []
        for name, data_type, shape in outputs:
            expected = self._type_of.get(name)
            if expected is None:
                continue
            if name in found:
                return _wrong(name, "it once", "it twice")
            found.append(name)
            if data_type != expected and data_type:
                return _wrong(name, expected, data_type)
            if self._batched and (not shape or shape[0] != batch_size):
                return _wrong(name, f"a batch of {batch_size}", f"{shape[0]}" if shape else "no dimension")
        for name in wanted:
            if name not in found and name in self._type_of and name not in self._optional:
                return _wrong(name, "one, as it is not among the router's `optional_outputs`", "none")
        return None


def type_name(declared: str) -> str:
    """Return the name of a type in an answer, from the one in config.pbtxt.

    >>> type_name("TYPE_FP32"), type_name("TYPE_STRING")
    ('FP32', 'BYTES')
    """
    return "BYTES" if declared == "TYPE_STRING" else declared.removeprefix("TYPE_")


def _wrong(output: str, expected: str, found: str) -> Failure:
    text = f"wrong answer: output '{output}': expected {expected}, found {found}"
    return Failure(Fault.WRONG_ANSWER, text, INTERNAL)
