"""A model that has learned a law with some noise."""

import math
import random

from router_backend.core.learning.latency_model import LatencyModel

SIZES = (1, 2, 4, 8, 16)


def law_ms(x: float) -> float:
    return 2.3 + 0.82 * x


def trained(noise: float = 0.02, count: int = 300, seed: int = 0) -> LatencyModel:
    """Return a model after `count` requests that follow the law, ten per second, up to second 30."""
    rng, model = random.Random(seed), LatencyModel()
    for i in range(count):
        x = rng.choice(SIZES)
        model.update(x, law_ms(x) * math.exp(rng.gauss(0.0, noise)), now_s=30.0 - 0.1 * (count - i))
    return model


def predicted(model: LatencyModel, x: float) -> float:
    """Return the prediction at the time of the last observation."""
    return model.predict(x, model.updated_s)
