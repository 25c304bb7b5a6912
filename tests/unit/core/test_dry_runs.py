"""A dry run decides as a request would, and changes nothing that later decisions depend on."""

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from router_backend import Device, Fault, ModelRouter, ModelSettings, RoutingContext, Variant
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import DeadlineError, RouterError
from tests.unit.core.clock import Clock

OVERWRITTEN = {
    "candidate",
    "_request",
    "_rng",
    "_lock",
    "_learned_variance",
    "_predicted_at",
    "_predicted_ms",
}
"""What each decision overwrites, or draws from, and caches of what was learned."""
APART = {"request", "abandon"}
"""What the selector keeps of the last decision, and what is called when one is dropped."""
POLICIES = ["latency", "throughput", "power", "adaptive", "round_robin", "offline_profile", "linucb"]


def learned(value: Any) -> Any:
    """Return all that an object knows, as something that compares by value."""
    if isinstance(value, Mapping):
        return {str(key): learned(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [learned(each) for each in value]
    if not type(value).__module__.startswith("router_backend") or isinstance(value, Device | Fault):
        return repr(value)
    names = {name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())}
    names |= set(getattr(value, "__dict__", {}))
    return {
        name: learned(getattr(value, name)) for name in sorted(names - OVERWRITTEN) if hasattr(value, name)
    }


TIGHT = RoutingContext(max_latency_ms=0.5, refuse_late=True, excluded_variants=frozenset({"new"}))
SMALL = RoutingContext(max_memory_mb=50.0, allowed_variants=frozenset({"large"}))


class Site:
    """A model: `slow` is slower than usual, `broken` fails, `large` is too large, and `new` is unknown."""

    def __init__(self, policy: str = "latency") -> None:
        self.clock = Clock()
        limits = {Device.CPU: DeviceLimits(max_in_flight=100)}
        settings = ModelSettings(policy=policy, device_limits=limits)
        self.router = ModelRouter(settings, clock=self.clock, rng=random.Random(0))
        names = "steady", "slow", "broken", "large", "new"
        self.router.register_model("m", variants=[Variant(name, Device.CPU) for name in names])
        self.model = self.router.model("m")
        for number in range(30):
            self.serve("steady", 10.0)
            self.serve("slow", 5.0 if number < 20 else 50.0)
            self.serve("broken", 3.0, error=Fault.ERROR if number > 27 else None)
            self.serve("large", 4.0, memory_mb=100.0)
        for context in (RoutingContext(), TIGHT, SMALL):
            with suppress(RouterError):
                self.router.record_execution(self.router.route_request("m", context))

    def serve(self, name: str, latency_ms: float, **ends: Any) -> None:
        context = RoutingContext(batch_size=1 + int(self.clock.now_s) % 3, allowed_variants=frozenset({name}))
        decision = self.router.route_request("m", context)
        self.clock.now_s += latency_ms / 1e3
        self.router.record_execution(decision, latency_ms=latency_ms, **ends)
        self.clock.now_s += 0.1

    def learned(self) -> Any:
        """Return what decisions depend on."""
        selector = vars(self.model._selector)
        kept = {name: value for name, value in selector.items() if name.removeprefix("_") not in APART}
        return learned([self.model.states, kept])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"batch_size": 64, "elements": 6400},
        {"max_latency_ms": 6.0},
        {"max_latency_ms": 0.5, "refuse_late": True, "excluded_variants": frozenset({"new"})},
        {"max_memory_mb": 50.0, "allowed_variants": frozenset({"large"})},
        {"max_memory_mb": 50.0},
        {"allowed_variants": frozenset({"broken"})},
        {"allowed_variants": frozenset({"slow", "steady"})},
    ],
)
@pytest.mark.parametrize("later_s", [0.0, 100.0])
def test_it_changes_nothing(policy, asked, later_s):
    site = Site(policy)
    site.clock.now_s += later_s
    before = site.learned()
    for _ in range(3):
        with suppress(RouterError):
            decision = site.router.route_request("m", RoutingContext(dry_run=True, **asked))
            site.router.record_execution(decision)
    assert site.learned() == before


def test_it_is_decided_as_a_request_is():
    site = Site()
    dry = site.router.route_request("m", RoutingContext(dry_run=True))
    sent = site.router.route_request("m", RoutingContext())
    assert (dry.variant, dry.expected_latency_ms, dry.in_flight, dry.propensity, dry.candidates) == (
        sent.variant,
        sent.expected_latency_ms,
        sent.in_flight,
        sent.propensity,
        sent.candidates,
    )


def test_its_place_is_not_taken():
    site = Site()
    held = [site.router.route_request("m", RoutingContext(dry_run=True)) for _ in range(3)]
    assert [decision.in_flight for decision in held] == [0, 0, 0]
    assert site.router.backends()[Device.CPU].taken == 0


def test_one_that_is_refused_is_not_counted():
    site = Site()
    before = site.model.metrics().counts.refusals.copy()
    with pytest.raises(DeadlineError):
        site.router.route_request("m", replace(TIGHT, dry_run=True))
    assert site.model.metrics().counts.refusals == before
