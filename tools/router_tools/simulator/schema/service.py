"""Mean service times in the file of a world."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from router_backend.errors import ConfigurationError
from router_backend.typed_load import Section, given
from router_tools.simulator.schema.common import Count, Milliseconds, MsByBatch, OneOf, Positive


class AffineFile(Section, frozen=True, kw_only=True):
    """base_ms + per_item_ms · batch, times cliff_factor for batches above cliff_above.

    Args:
        base_ms: the time that every request takes.
        per_item_ms: the time that each item adds.
        cliff_above: the largest batch before the cliff.
        cliff_factor: the factor by which larger batches take longer.

    Raises:
        ConfigurationError: only one of cliff_above and cliff_factor is given.
    """

    base_ms: Milliseconds
    per_item_ms: Annotated[float, Meta(ge=0, le=1e9)]
    cliff_above: Count | UnsetType = UNSET
    cliff_factor: Positive | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Reject one setting of the cliff without the other."""
        if (self.cliff_above is UNSET) != (self.cliff_factor is UNSET):
            raise ConfigurationError(
                expected="both cliff_above and cliff_factor, or neither", found=", ".join(given(self))
            )


class RowFile(Section, frozen=True, kw_only=True):
    """Published times for one sequence length.

    Args:
        ms_by_batch: milliseconds by batch size.
        sequence_length: the length; required if there are several rows.
    """

    ms_by_batch: MsByBatch
    sequence_length: Count | UnsetType = UNSET


class TableFile(Section, frozen=True, kw_only=True):
    """Published times: interpolated between the points, extrapolated above the largest.

    Args:
        rows: by sequence length.
        factor: the factor by which this variant takes longer than the table says.
    """

    rows: Annotated[tuple[RowFile, ...], Meta(min_length=1)]
    factor: Positive = 1.0

    def __post_init__(self) -> None:
        """Reject several rows without a sequence_length."""
        for index, row in enumerate(self.rows):
            if len(self.rows) > 1 and row.sequence_length is UNSET:
                path, expected = f"rows[{index}]", "a sequence_length for each of several rows"
                raise ConfigurationError(path=path, expected=expected, found="none")


class ServiceFile(OneOf, frozen=True, kw_only=True):
    """The mean service time: exactly one law."""

    affine: AffineFile | UnsetType = UNSET
    table: TableFile | UnsetType = UNSET
