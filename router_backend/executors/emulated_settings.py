"""The `parameters` of an emulated device's config.pbtxt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from router_backend.config.schema import Count
from router_backend.core.records.variant import Device
from router_backend.errors import require
from router_backend.typed_load import Section, load_texts

Ms = Annotated[float, Meta(ge=0, extra={"unit": "ms"})]
Sigma = Annotated[float, Meta(ge=0)]
MsByBatch = Annotated[
    Mapping[Count, Ms],
    Meta(
        min_length=1,
        extra={"expected": 'a JSON object from batch size to a number of ms, such as {"1": 3.0, "8": 9.5}'},
    ),
]
LAWS = (["base_ms", "per_item_ms"], ["ms_by_batch"])


class EmulatedSettings(Section, frozen=True, kw_only=True):
    """How long an emulated device takes: one law, and noise.

    Args:
        device: the kind of hardware that it stands for; only the router reads it.
        base_ms: the part of the service time that every request takes.
        per_item_ms: what each item adds.
        ms_by_batch: instead of these two, mean service times of some batch sizes.
        noise_sigma: standard deviation of ln(service time / mean).
        seed: of the noise, beside the instance's name.

    Raises:
        ConfigurationError: no law, half of one, or two.
    """

    device: Device | UnsetType = UNSET
    base_ms: Ms | UnsetType = UNSET
    per_item_ms: Ms | UnsetType = UNSET
    ms_by_batch: MsByBatch | UnsetType = UNSET
    noise_sigma: Sigma = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Reject anything but one law."""
        names = [name for name in chain(*LAWS) if getattr(self, name) is not UNSET]
        expected = "the parameters base_ms and per_item_ms, or ms_by_batch alone"
        require(names in LAWS, "", expected, " and ".join(names) or "none of them")

    @property
    def points_ms(self) -> Mapping[int, float]:
        """The law: mean service times in ms by batch size, linear between and beyond."""
        if self.base_ms is not UNSET and self.per_item_ms is not UNSET:
            return {1: self.base_ms + self.per_item_ms, 2: self.base_ms + 2 * self.per_item_ms}
        assert self.ms_by_batch is not UNSET
        return self.ms_by_batch


def parse_settings(parameters: Mapping[str, str]) -> EmulatedSettings:
    """Read a variant's parameters, e.g. `{"device": "gpu", "base_ms": "0.9", "per_item_ms": "1.5"}`.

    Raises:
        ConfigurationError: everything that is wrong with them.
    """
    values: dict[str, object] = dict(parameters)
    with suppress(KeyError, ValueError):  # else it stays text, which is rejected as such
        values["ms_by_batch"] = json.loads(parameters["ms_by_batch"])
    return load_texts(EmulatedSettings, values, "config.pbtxt")
