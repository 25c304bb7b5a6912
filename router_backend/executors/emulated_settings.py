"""The `parameters` of an emulated device's config.pbtxt, parsed and validated."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router_backend.config.settings import one_of, read_settings, setting
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError

MS = "a number of ms, at least 0"
_DEVICE = f"one of {', '.join(device.value for device in Device)}"
_TABLE = 'a JSON object from batch size to a number of ms, such as {"1": 3.0, "8": 9.5}'


def non_negative(value: Any) -> float:
    """A finite number, at least 0, as a float.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(value)
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(value)
    return float(value)


def _number(text: str) -> float:
    return non_negative(float(text))


def _table(text: str) -> dict[int, float]:
    table = json.loads(text)  # its error is a ValueError
    if not isinstance(table, dict) or not table:
        raise ValueError(text)
    points = {int(batch_size): non_negative(ms) for batch_size, ms in table.items()}
    if min(points) < 1:
        raise ValueError(text)
    return points


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedSettings:
    """How long a made-up device takes: one law, and noise.

    Args:
        device: the kind of hardware that it stands for; only the router reads it.
        base_ms: what a request costs however small it is.
        per_item_ms: what each item adds.
        ms_by_batch: instead of these two, mean service times of some batch sizes.
        noise_sigma: standard deviation of ln(service time / mean).
        seed: what the noise depends on, beside the instance's name.
    """

    device: Device | None = setting(one_of(Device), _DEVICE, default=None)
    base_ms: float | None = setting(_number, MS, default=None)
    per_item_ms: float | None = setting(_number, MS, default=None)
    ms_by_batch: Mapping[int, float] | None = setting(_table, _TABLE, default=None)
    noise_sigma: float = setting(_number, "a number, at least 0", default=0.0)
    seed: int = setting(int, "a whole number", default=0)

    def __post_init__(self) -> None:
        """Refuse anything but one law.

        Raises:
            ConfigurationError: there is none, half of one, or two.
        """
        names = [
            name for name in ("base_ms", "per_item_ms", "ms_by_batch") if getattr(self, name) is not None
        ]
        if names not in (["base_ms", "per_item_ms"], ["ms_by_batch"]):
            raise ConfigurationError(
                "config.pbtxt: expected the parameters base_ms and per_item_ms, or ms_by_batch alone, found "
                f"{' and '.join(names) or 'none of them'}"
            )

    @property
    def points_ms(self) -> Mapping[int, float]:
        """The law: mean service times in ms by batch size, with straight lines between and beyond."""
        if self.base_ms is not None and self.per_item_ms is not None:
            return {1: self.base_ms + self.per_item_ms, 2: self.base_ms + 2 * self.per_item_ms}
        assert self.ms_by_batch is not None
        return self.ms_by_batch


def parse_settings(parameters: Mapping[str, str]) -> EmulatedSettings:
    """Read a variant's parameters, e.g. `{"device": "gpu", "base_ms": "0.9", "per_item_ms": "1.5"}`.

    Args:
        parameters: key and string value of each entry of `parameters` in config.pbtxt.

    Raises:
        ConfigurationError: an unknown key, a value that cannot be read, or not exactly one law.
    """
    return read_settings(EmulatedSettings, "config.pbtxt", parameters)
