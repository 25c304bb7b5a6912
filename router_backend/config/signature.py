"""The tensors that a model takes and gives, and whether models agree on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from router_backend.errors import ConfigurationError, Problem, Problems


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output as config.pbtxt declares it.

    Args:
        name: the tensor's name.
        data_type: Triton's name of its type, such as TYPE_FP32.
        dims: its dimensions without the batch; -1 where they vary.
        optional: whether a request may leave it out.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.data_type} {list(self.dims)}{' optional' if self.optional else ''}"

    def as_dict(self) -> dict[str, Any]:
        """The form in which Triton takes it when a configuration is completed."""
        spec: dict[str, Any] = {"name": self.name, "data_type": self.data_type, "dims": list(self.dims)}
        return spec | {"optional": True} if self.optional else spec


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives.

    Args:
        inputs: its input tensors.
        outputs: its output tensors.
        max_batch_size: the largest batch; 0 where the first dimension is no batch.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch_size: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Signature":
        """The signature in a model configuration in its JSON form."""
        return cls(
            _tensors(config.get("input", ())),
            _tensors(config.get("output", ())),
            int(config.get("max_batch_size", 0)),
        )

    def without_output(self, name: str) -> "Signature":
        """The same without the output of that name."""
        kept = tuple(output for output in self.outputs if output.name != name)
        return Signature(self.inputs, kept, self.max_batch_size)


def common_signature(signatures: Mapping[str, Signature]) -> Signature:
    """The signature that all models share; the largest of their batch sizes.

    Args:
        signatures: at least one, by model name.

    Raises:
        ConfigurationError: two models disagree; the text names both and the tensor.
    """
    (first, common), *others = signatures.items()
    for name, signature in others:
        check_agreement(first, common, name, signature)
    largest = max(signature.max_batch_size for signature in signatures.values())
    return Signature(common.inputs, common.outputs, largest)


def check_agreement(first: str, one: Signature, second: str, other: Signature) -> None:
    """Reject two models whose tensors differ.

    Raises:
        ConfigurationError: every input and output on which they disagree, and whether there is a batch.
    """
    problems = Problems()
    for kind, ones, others in (("input", one.inputs, other.inputs), ("output", one.outputs, other.outputs)):
        tensors, twins = ({tensor.name: tensor for tensor in each} for each in (ones, others))
        for name in (name for name in {**tensors, **twins} if tensors.get(name) != twins.get(name)):
            problem = Problem(
                path=f"{kind} '{name}'",
                expected=f"{tensors.get(name, 'none')} as in '{first}'",
                found=f"{twins.get(name, 'none')} in '{second}'",
                fix="give the variants of one model the same names, types and dims",
            )
            problems.append(problem)
    if (one.max_batch_size == 0) != (other.max_batch_size == 0):
        found = f"{one.max_batch_size} and {other.max_batch_size}"
        problems.append(Problem(path="max_batch_size", expected="both 0 or neither", found=found))
    if problems:
        raise ConfigurationError(*problems).at(f"models '{first}' and '{second}'")


def _tensors(entries: Iterable[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            entry["name"],
            entry["data_type"],
            tuple(int(dim) for dim in entry.get("dims", ())),
            bool(entry.get("optional", False)),
        )
        for entry in entries
    )
