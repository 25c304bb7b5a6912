"""The types of values that several of the simulator's files have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from router_backend.errors import ConfigurationError
from router_backend.typed_load import Section, given

Name = Annotated[str, Meta(min_length=1)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Instances = Annotated[int, Meta(ge=1, le=10_000)]
BatchSize = Annotated[int, Meta(ge=1, le=65_536)]
Requests = Annotated[int, Meta(ge=1, le=100_000_000)]
Load = Annotated[float, Meta(gt=0, le=1000)]
Moment = Annotated[float, Meta(ge=0, le=1)]
Sigma = Annotated[float, Meta(ge=0, le=2)]
Milliseconds = Annotated[float, Meta(gt=0, le=1e9, extra={"unit": "ms"})]
Number = Annotated[
    str,
    Meta(
        pattern="^[1-9][0-9]{0,8}$",
        extra={"expected": "a whole number above 0, of 9 digits at most, as a name"},
    ),
]
MsByBatch = Annotated[Mapping[Number, Milliseconds], Meta(min_length=1)]
Weights = Annotated[Mapping[Number, Annotated[float, Meta(gt=0, le=1e9)]], Meta(min_length=1)]


Priority = Annotated[
    str,
    Meta(
        pattern="^(0|-?[1-9]|-?10)$",
        extra={"expected": "a whole number from -10 to 10, as a name"},
    ),
]
PriorityWeights = Annotated[Mapping[Priority, Annotated[float, Meta(gt=0, le=1e9)]], Meta(min_length=1)]


class OneOf(Section, frozen=True, kw_only=True):
    """An object with exactly one of its fields.

    Raises:
        ConfigurationError: it has none or several.
    """

    def __post_init__(self) -> None:
        """Reject none and several."""
        said = given(self)
        if len(said) != 1:
            expected = f"exactly one of {', '.join(self.__struct_encode_fields__)}"
            raise ConfigurationError(expected=expected, found=", ".join(said) or "none")
