"""What a variant's config.pbtxt states of its model."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from router_backend.config.settings import one_of, read_settings, setting
from router_backend.core.records.characteristics import Quantization


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _kinds(text: str) -> frozenset[Quantization]:
    return frozenset(map(one_of(Quantization), (part.strip() for part in text.split(","))))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedCharacteristics:
    """What a variant's config.pbtxt may state of its model; None: nothing is stated.

    Args:
        parameter_count: learned numbers.
        parameter_bytes: what these take.
        macs: multiply-accumulates for one item.
        activation_bytes: all intermediate tensors of one item.
        quantization: how its numbers are reduced.
        supports_gpu: whether it runs on a GPU, whatever the analysis says.
        supports_neural_engine: the same of Apple's Neural Engine.
        supports_mps: the same of Apple's GPU.
    """

    parameter_count: int | None = setting(_count, "a whole number", default=None)
    parameter_bytes: int | None = setting(_count, "a whole number", default=None)
    macs: int | None = setting(_count, "a whole number", default=None)
    activation_bytes: int | None = setting(_count, "a whole number", default=None)
    quantization: frozenset[Quantization] | None = setting(
        _kinds, f"kinds with commas between ({', '.join(kind.value for kind in Quantization)})", default=None
    )
    supports_gpu: bool | None = setting(_switch, "true or false", default=None)
    supports_neural_engine: bool | None = setting(_switch, "true or false", default=None)
    supports_mps: bool | None = setting(_switch, "true or false", default=None)


STATED = frozenset(field.name for field in fields(StatedCharacteristics))
"""The parameters of a variant that are read here; its other ones are its own."""


def read_stated(where: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """The fields of `ModelCharacteristics` that are stated.

    Args:
        where: the place that the texts are from, for the messages.
        texts: the variant's parameters.

    Raises:
        ConfigurationError: one that cannot be read.
    """
    own = {key: text for key, text in texts.items() if key in STATED}
    stated = read_settings(StatedCharacteristics, where, own)
    return {name: getattr(stated, name) for name in own}
