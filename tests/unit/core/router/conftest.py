import random

import pytest

from router_backend.core.router import ModelRouter
from tests.unit.core.clock import Clock
from tests.unit.core.router.served import CPU, GPU


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def router(clock: Clock) -> ModelRouter:
    """Return a router of one model, with a GPU and a CPU variant."""
    router = ModelRouter(clock=clock, rng=random.Random(0))
    router.register_model("resnet50", variants=[GPU, CPU])
    return router
