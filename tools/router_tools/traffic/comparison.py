"""Comparison of the router with each of its variants, on the same batches at the same time."""

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
    """Mean latencies for one batch size.

    Args:
        batch_size: the number of images in a request.
        requests: the number of requests compared.
        router_ms: mean latency of the router.
        variants_ms: mean latency of each variant, without the router.
    """

    batch_size: int
    requests: int
    router_ms: float
    variants_ms: dict[str, float]

    @property
    def router_to_best(self) -> float:
        """The router's mean latency relative to the fastest variant at this batch size."""
        return self.router_ms / min(self.variants_ms.values())


@dataclass(slots=True)
class Comparison:
    """Sends batches of random size; from request 200 on also to every variant, in random order.

    Args:
        client: the client.
        router: the name of the router model.
        variants: the names of its ready variants.
        rng: the random generator of batch sizes and orders.
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
        """Return the mean latencies for each batch size measured."""
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
