"""Quantiles of latencies in bounded memory."""

import math


class LatencyHistogram:
    """Counts of latencies in buckets that each end 4 % above where they begin; quantiles are right to 2 %.

    From 1 us to 16 minutes; what is beyond counts in the bucket at that end.

    References:
        Masson, Rim and Lee, DDSketch: a fast and fully-mergeable quantile sketch with relative-error
        guarantees, VLDB 2019.

    Examples:
        >>> histogram = LatencyHistogram()
        >>> for latency_ms in range(1, 101):
        ...     histogram.update(float(latency_ms))
        >>> 97.0 < histogram.quantile(0.99) < 101.0
        True
    """

    LEAST_MS = 1e-3
    MOST_MS = 1e6
    LOG_GROWTH = math.log(1.04)
    BUCKETS = math.ceil(math.log(MOST_MS / LEAST_MS) / LOG_GROWTH) + 1

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self._counts = [0] * self.BUCKETS
        self.count = 0

    def update(self, latency_ms: float) -> None:
        """Count a latency, above 0."""
        held_ms = min(max(latency_ms, self.LEAST_MS), self.MOST_MS)
        self._counts[int(math.log(held_ms / self.LEAST_MS) / self.LOG_GROWTH)] += 1
        self.count += 1

    def quantile(self, share: float) -> float | None:
        """The latency in ms that a share of those counted was not above; None before the first."""
        wanted = share * self.count
        below = 0
        for bucket, count in enumerate(self._counts):
            below += count
            if count and below >= wanted:
                return self.LEAST_MS * math.exp((bucket + 0.5) * self.LOG_GROWTH)
        return None
