"""The router beside each of its variants, on the same batches at the same time."""

import random
import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from router_tools.demo.images import random_images
from router_tools.traffic.model_client import ModelClient

BATCH_SIZES = (1, 2, 4, 8)
COMPARED_FROM = 200


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """Mean latencies of one batch size.

    Args:
        batch_size: images in a request.
        requests: how many were compared.
        router_ms: through the router.
        variants_ms: directly, by variant.
    """

    batch_size: int
    requests: int
    router_ms: float
    variants_ms: dict[str, float]

    @property
    def router_to_best(self) -> float:
        """The router's mean relative to that of the variant that is best at this batch size."""
        return self.router_ms / min(self.variants_ms.values())


@dataclass(slots=True)
class Comparison:
    """Sends batches of random size; from request 200 on to every variant as well, in random order.

    Args:
        client: what sends.
        router: the router model.
        variants: its ready variants.
        rng: chooses batch sizes and orders.
    """

    client: ModelClient
    router: str
    variants: list[str]
    rng: random.Random
    _sent: int = 0
    _latencies_ms: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))

    def step(self) -> None:
        """Send the next batch."""
        batch_size = self.rng.choice(BATCH_SIZES)
        images = random_images(batch_size, seed=self._sent)
        compared = self._sent >= COMPARED_FROM
        targets = [self.router, *self.variants] if compared else [self.router]
        for target in self.rng.sample(targets, len(targets)):
            latency_ms = self.client.time_ms(target, images)
            if compared:
                self._latencies_ms[target, batch_size].append(latency_ms)
        self._sent += 1

    def figures(self) -> list[BatchFigures]:
        """What was measured, by batch size."""
        return [
            BatchFigures(
                batch_size,
                len(self._latencies_ms[self.router, batch_size]),
                statistics.mean(self._latencies_ms[self.router, batch_size]),
                {name: statistics.mean(self._latencies_ms[name, batch_size]) for name in self.variants},
            )
            for batch_size in BATCH_SIZES
            if self._latencies_ms[self.router, batch_size]
        ]
