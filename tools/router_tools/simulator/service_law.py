"""Mean service time of a request on an idle variant, without events."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass


class ServiceLaw(ABC):
    """Mean service time by batch size and sequence length."""

    @abstractmethod
    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """Return the mean service time in ms of a request.

        Args:
            batch_size: the number of items.
            sequence_length: the sequence length of the items.
        """


@dataclass(frozen=True, slots=True)
class AffineServiceLaw(ServiceLaw):
    """base + per_item · batch, times a factor for batches beyond a cliff.

    Args:
        base_ms: fixed time of a request.
        per_item_ms: additional time per item.
        cliff_above: the largest batch size below the cliff; `None` if there is no cliff.
        cliff_factor: factor for larger batches.
    """

    base_ms: float
    per_item_ms: float
    cliff_above: int | None = None
    cliff_factor: float = 1.0

    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """Return the mean service time in ms, which does not depend on the sequence length."""
        del sequence_length
        mean_ms = self.base_ms + self.per_item_ms * batch_size
        if self.cliff_above is not None and batch_size > self.cliff_above:
            mean_ms *= self.cliff_factor
        return mean_ms


@dataclass(frozen=True, slots=True)
class TableServiceLaw(ServiceLaw):
    """A published table with linear interpolation, extrapolated beyond the last point, times a factor.

    Args:
        rows: ms by batch size, by sequence length; with a single row, the sequence length does not matter.
        factor: the time of this variant relative to the table.

    Examples:
        >>> law = TableServiceLaw({1: {1: 3.003, 2: 3.998, 4: 5.747}})
        >>> round(law.mean_ms(3, 1), 4)
        4.8725
    """

    rows: Mapping[int, Mapping[int, float]]
    factor: float = 1.0

    def mean_ms(self, batch_size: int, sequence_length: int) -> float:
        """Return the mean service time in ms, interpolated by batch size and sequence length."""
        by_length = {length: line(row, batch_size) for length, row in self.rows.items()}
        return self.factor * line(by_length, sequence_length)


def line(points: Mapping[int, float] | Mapping[float, float], x: float) -> float:
    """Interpolate linearly at x: constant before the first point; after the last, the line rises or stays.

    A line that falls would cross zero.
    """
    corners = sorted(points.items())
    right = bisect_right(corners, x, key=_first)
    if right == 0 or len(corners) == 1:
        return corners[0][1]
    right = min(right, len(corners) - 1)
    (x0, y0), (x1, y1) = corners[right - 1], corners[right]
    slope = (y1 - y0) / (x1 - x0)
    return y0 + slope * (x - x0) if x <= x1 else y1 + max(slope, 0.0) * (x - x1)


def _first(corner: tuple[float, float]) -> float:
    return corner[0]
