"""Shortest expected delay with a profile that is measured once."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import ClassVar

from router_backend.baselines.journal import Journal
from router_backend.baselines.request_size import RequestSize
from router_backend.core.learning.affine import AffineLaw
from router_backend.core.policies.base import Choice, Policy
from router_backend.core.policies.least_cost import least_cost
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.load import Load
from router_backend.core.variants.profile import VariantProfile


class FrozenLaw:
    """The affine law a + c·x of a variant's first executions, those at warm-up among them; then no more."""

    EXECUTIONS = 16

    __slots__ = ("_executions", "_law")

    def __init__(self) -> None:
        self._law = AffineLaw()
        self._executions = 0

    def update(self, x: float, service_ms: float) -> None:
        """Learn that a request of size x was served in `service_ms`, if it is one of the first."""
        if self._executions < self.EXECUTIONS:
            self._law.update(x, service_ms)
            self._executions += 1

    def predict(self, x: float) -> float:
        """Predicted service time in ms; 0 before the first execution."""
        return self._law.predict(x)


class OfflineProfilePolicy(Policy):
    """argmin W + S, with S by a profile that never changes, and W by the same profile from what is in flight.

    Profilers run before deployment, so that drift, cliffs between the sizes they tried, and work that
    appears later are unknown to them. Until a variant's first execution S is the router's guess.

    Args:
        laws: exact service times in ms by size x for variants by name; the others' laws are learned.

    References:
        Shortest expected delay: arXiv 1509.03535. Profiles: INFaaS, ATC 2021; Clockwork, OSDI 2020.
    """

    name: ClassVar[str] = "offline_profile"

    def __init__(self, laws: Mapping[str, Callable[[float], float]] | None = None) -> None:
        self._laws = dict(laws or {})
        self._learned: defaultdict[str, FrozenLaw] = defaultdict(FrozenLaw)
        self._journals: defaultdict[str, Journal] = defaultdict(Journal)
        self._sent_ms: defaultdict[str, dict[float, float]] = defaultdict(dict)
        self._size = RequestSize()

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the shortest expected delay."""
        size = self._size.of(context)
        for candidate in candidates:
            candidate.cost = self._wait_ms(candidate, now_s) + self._service_ms(candidate, size)
        pick = least_cost(candidates)
        name = pick.variant.name
        self._sent_ms[name][now_s] = self._service_ms(pick, size)
        self._journals[name].sent(pick.load.in_flight, now_s)
        return Choice(pick)

    def observe(
        self, profile: VariantProfile, size: float, propensity: float, latency_ms: float, now_s: float
    ) -> None:
        """Learn the service time, if it is one of the first."""
        name = profile.variant.name
        stay = self._journals[name].answered(latency_ms, now_s, profile.variant.concurrency)
        self._learned[name].update(size, stay.service_ms)

    def _service_ms(self, profile: VariantProfile, size: float) -> float:
        name = profile.variant.name
        law = self._laws.get(name) or self._learned[name].predict
        return law(size) or profile.service_ms

    def _wait_ms(self, profile: VariantProfile, now_s: float) -> float:
        """The wait that the requests in flight mean, each with what the profile said when it was sent."""
        load, name = profile.load, profile.variant.name
        sent_ms, self._sent_ms[name] = self._sent_ms[name], {}
        queue = Load(load.concurrency)
        for place in (*load.running, *load.waiting):
            service_ms = sent_ms.get(place.dispatched_s, place.predicted_ms)
            self._sent_ms[name][place.dispatched_s] = service_ms
            queue.enter(service_ms, now_s if place.started_s is None else place.started_s)
        return queue.wait_ms(now_s)
