"""Service times of an emulated device."""

import math
import random
from bisect import bisect_right
from collections.abc import Mapping


class EmulatedLaw:
    """Service times: interpolated mean times by batch size, with log-normal noise of mean 1.

    Args:
        ms_by_batch: mean service time in ms for some batch sizes. It is constant below the smallest size,
            linear between sizes, and extrapolated above the largest size.
        noise_sigma: standard deviation of ln(service time / mean).
        rng: the random generator of the noise.

    Examples:
        >>> law = EmulatedLaw({1: 3.0, 2: 4.0, 4: 5.0}, noise_sigma=0.0, rng=random.Random(0))
        >>> law.draw_ms(1), law.draw_ms(3), law.draw_ms(8)
        (3.0, 4.5, 7.0)
    """

    def __init__(self, ms_by_batch: Mapping[int, float], noise_sigma: float, rng: random.Random) -> None:
        self._batches = sorted(ms_by_batch)
        self._means_ms = [ms_by_batch[batch] for batch in self._batches]
        self._noise_sigma = noise_sigma
        self._rng = rng

    def draw_ms(self, batch_size: int) -> float:
        """Return a random service time in ms for a batch of that size."""
        sigma = self._noise_sigma
        return self._mean_ms(batch_size) * math.exp(self._rng.gauss(-0.5 * sigma * sigma, sigma))

    def _mean_ms(self, batch_size: int) -> float:
        batches, means_ms = self._batches, self._means_ms
        if batch_size <= batches[0] or len(batches) == 1:
            return means_ms[0]
        right = min(bisect_right(batches, batch_size), len(batches) - 1)
        left = right - 1
        slope = (means_ms[right] - means_ms[left]) / (batches[right] - batches[left])
        return means_ms[left] + slope * (batch_size - batches[left])
