"""The clairvoyant: knows the true state and future of every variant, and takes the earliest answer."""

import random
from collections.abc import Mapping
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile
from router_backend.errors import DeadlineError
from router_tools.simulator.simulation import RoutedJob
from router_tools.simulator.stations.base import Station


class Oracle(Policy):
    """Greedy: picks the variant at which this request would be answered first, were it the last one.

    It knows the request's true service time on each variant, the true queues, drift and outages to come,
    and hidden requests that are there; not the requests that will come. So it is no lower bound: a policy
    that leaves room for the requests to come can beat it under load.

    Args:
        stations: the variants at work, by name.
    """

    name: ClassVar[str] = "oracle"

    def __init__(self, stations: Mapping[str, Station]) -> None:
        self._stations = stations
        self._job: RoutedJob | None = None

    def announce(self, job: RoutedJob) -> None:
        """The request that is asked about next."""
        self._job = job

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the earliest true answer; the cost is its time."""
        assert self._job is not None
        for candidate in candidates:
            candidate.cost = self._stations[candidate.variant.name].completion_s(self._job)
        return Choice(min(candidates, key=_cost))


class RefusingOracle(Oracle):
    """The same, but it refuses at once what no variant can answer within the deadline."""

    name: ClassVar[str] = "oracle_refusing"

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the earliest true answer.

        Raises:
            DeadlineError: it would be late.
        """
        choice = super().choose(candidates, context, now_s, rng)
        assert self._job is not None
        if (choice.candidate.cost - now_s) * 1e3 > self._job.deadline_ms:
            raise DeadlineError(f"no variant can answer within {self._job.deadline_ms} ms")
        return choice


def _cost(candidate: VariantProfile) -> float:
    return candidate.cost
