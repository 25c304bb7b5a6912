"""The tensors that a model takes and gives, and whether models agree on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router_backend.errors import ConfigurationError

SAME = "give the variants of one model the same names, types and dims"


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
        return f"{self.name} {self.data_type} {list(self.dims)}{' optional' if self.optional else ''}"

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
    """Refuse two models whose tensors differ.

    Raises:
        ConfigurationError: they disagree on an input, an output, or on whether there is a batch.
    """
    _check_tensors("input", first, one.inputs, second, other.inputs)
    _check_tensors("output", first, one.outputs, second, other.outputs)
    if (one.max_batch_size == 0) != (other.max_batch_size == 0):
        raise ConfigurationError(
            where=f"models '{first}' and '{second}'",
            path="max_batch_size",
            expected="both 0 or neither",
            found=f"{one.max_batch_size} and {other.max_batch_size}",
        )


def _check_tensors(
    kind: str, first: str, ones: Sequence[TensorSpec], second: str, others: Sequence[TensorSpec]
) -> None:
    models = f"models '{first}' and '{second}'"
    by_name = {tensor.name: tensor for tensor in others}
    for tensor in ones:
        twin = by_name.pop(tensor.name, None)
        if twin != tensor:
            found = f"'{twin}'" if twin else f"no such {kind} (it has {_names(others)})"
            raise ConfigurationError(
                where=models,
                path=kind,
                expected=f"'{tensor}' as in '{first}'",
                found=f"{found} in '{second}'",
                fix=SAME,
            )
    if by_name:
        names = _names(by_name.values())
        raise ConfigurationError(
            where=models,
            path=kind,
            expected=f"no more than in '{first}'",
            found=f"{names} in '{second}'",
            fix=SAME,
        )


def _names(tensors: Iterable[TensorSpec]) -> str:
    return ", ".join(f"'{tensor.name}'" for tensor in tensors) or "none"


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
