"""How long a variant takes for a request when nothing disturbs it."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass


class ServiceLaw(ABC):
    """Mean service time by batch size and sequence length."""

    @abstractmethod
    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """Mean service time in ms of a request of that many items of that length."""


@dataclass(frozen=True, slots=True)
class AffineServiceLaw(ServiceLaw):
    """base + per_item · batch, times a factor above a batch size where the device falls off a cliff.

    Args:
        base_ms: what a request costs however small it is.
        per_item_ms: what each item adds.
        cliff_above: the largest batch before the cliff; None: there is none.
        cliff_factor: how many times longer larger batches take.
    """

    base_ms: float
    per_item_ms: float
    cliff_above: int | None = None
    cliff_factor: float = 1.0

    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """The law's value; the sequence length has no part in it."""
        del sequence_length
        mean_ms = self.base_ms + self.per_item_ms * batch_size
        if self.cliff_above is not None and batch_size > self.cliff_above:
            mean_ms *= self.cliff_factor
        return mean_ms


@dataclass(frozen=True, slots=True)
class TableServiceLaw(ServiceLaw):
    """A published table, linear between its points and beyond the last, times a factor.

    Args:
        rows: by sequence length, ms by batch size; one row: the sequence length has no part in it.
        factor: how many times longer this variant takes than the table says.

    Examples:
        >>> law = TableServiceLaw({1: {1: 3.003, 2: 3.998, 4: 5.747}})
        >>> round(law.mean_ms(3, 1), 4)
        4.8725
    """

    rows: Mapping[int, Mapping[int, float]]
    factor: float = 1.0

    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """The table's value at a batch size and a sequence length, each interpolated."""
        by_length = {length: line(row, batch_size) for length, row in self.rows.items()}
        return self.factor * line(by_length, sequence_length)


def line(points: Mapping[int, float] | Mapping[float, float], x: float) -> float:
    """The polygon through the points at x: level before the first point, the last edge continued."""
    corners = sorted(points.items())
    right = bisect_right(corners, x, key=_first)
    if right == 0 or len(corners) == 1:
        return corners[0][1]
    right = min(right, len(corners) - 1)
    (x0, y0), (x1, y1) = corners[right - 1], corners[right]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _first(corner: tuple[float, float]) -> float:
    return corner[0]
