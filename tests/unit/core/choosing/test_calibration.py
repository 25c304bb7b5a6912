"""Whether a decision's confidence is the share of such choices that are right."""

import random
from statistics import fmean

from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter

CHOICES = 600
SIGMAS = (0.05, 0.1, 0.3, 0.6)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def choice(seed: int) -> tuple[float, bool]:
    """Return the confidence of a choice between two variants of random laws, and whether it is right."""
    rng, clock = random.Random(seed), Clock()
    router = ModelRouter(clock=clock, rng=random.Random(seed))
    router.register_model("m", variants=[Variant("a", Device.GPU), Variant("b", Device.GPU)])
    mean_ms, sigma = {"a": 10.0, "b": 10.0 * rng.lognormvariate(0.0, 0.3)}, rng.choice(SIGMAS)
    pause_s = rng.choice((0.05, 0.5, 5.0))
    for _ in range(rng.choice((5, 20, 60))):
        for name, ms in mean_ms.items():
            decision = router.route_request("m", RoutingContext(allowed_variants=frozenset({name})))
            clock.now_s += pause_s
            router.record_execution(decision, latency_ms=ms * rng.lognormvariate(-(sigma**2) / 2.0, sigma))
    clock.now_s += rng.choice((0.0, 20.0, 200.0))
    decision = router.route_request("m", RoutingContext(dry_run=True))
    return decision.confidence, mean_ms[decision.variant] == min(mean_ms.values())


def test_the_confidence_is_about_the_share_of_such_choices_that_are_right():
    """Below 0.5, the choice was made to learn, and is mostly wrong."""
    choices = [choice(seed) for seed in range(CHOICES)]

    def right(low: float, high: float) -> float:
        return fmean(is_right for confidence, is_right in choices if low <= confidence < high)

    assert right(0.0, 0.5) < 0.35
    assert 0.6 < right(0.5, 0.75) < 0.95
    assert 0.8 < right(0.75, 0.95) < 1.0
    assert right(0.95, 1.01) > 0.9
