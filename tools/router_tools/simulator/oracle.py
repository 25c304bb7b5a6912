"""A clairvoyant policy: knows the true state and future of every variant, and picks the earliest answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import DeadlineError
from router_tools.simulator.job import Job
from router_tools.simulator.simulation import RoutedJob
from router_tools.simulator.stations.base import Station

MeanMs = Callable[[int, int], float]
"""Mean service time in ms by batch size and sequence length."""


class Oracle(Policy):
    """Greedy: picks the variant that would answer this request first if no other request followed.

    It knows the request's true service time on each variant, the true queues, future drift and outages, and
    hidden requests that are already there, but not future requests. So it is no lower bound: a policy that
    leaves room for later requests can beat it under load.

    Args:
        stations: the simulated variants, by name.
    """

    name: ClassVar[str] = "oracle"

    def __init__(self, stations: Mapping[str, Station]) -> None:
        self._stations = stations
        self._job: RoutedJob | None = None

    def announce(self, job: RoutedJob) -> None:
        """Set the request that is routed next."""
        self._job = job

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the true time of the answer as cost."""
        assert self._job is not None
        for candidate in candidates:
            candidate.cost = self._stations[candidate.variant.name].completion_s(self._job)


class ShortestExpectedDelay(Oracle):
    """Picks the lowest expected delay with exact queues, means and failure rates, which no learner knows.

    It differs from `Oracle` in that it does not know a request's luck: its noise, its content, and whether it
    will fail; nor that a first call is slow. An expected failure costs the retry at the best other variant.

    References:
        Shortest expected delay: arXiv 1509.03535.
    """

    name: ClassVar[str] = "sed"

    def __init__(self, stations: Mapping[str, Station], mean_ms: Mapping[str, MeanMs]) -> None:
        super().__init__(stations)
        self._mean_ms = mean_ms

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the expected delay as cost, in seconds."""
        assert self._job is not None
        batch_size, length = self._job.batch_size, self._job.sequence_length
        work_s = {name: mean_ms(batch_size, length) / 1e3 for name, mean_ms in self._mean_ms.items()}
        usual = Job(batch_size, length, work_s)
        for candidate in candidates:
            station = self._stations[candidate.variant.name]
            candidate.cost = station.completion_s(usual, warm=True) - request.now_s
        costs_s = sorted(candidate.cost for candidate in candidates)
        for candidate in candidates:
            retry_s = costs_s[candidate.cost == costs_s[0]] if len(costs_s) > 1 else 0.0
            share = self._stations[candidate.variant.name].failure_share(request.now_s)
            candidate.cost += share * retry_s if share else 0.0


class RefusingOracle(Oracle):
    """The same, but refuses requests at once that no variant can answer within the deadline."""

    name: ClassVar[str] = "oracle_refusing"

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the true time of the answer as cost.

        Raises:
            DeadlineError: even the earliest answer would be late.
        """
        super().score(candidates, request)
        assert self._job is not None
        earliest_s = min(candidate.cost for candidate in candidates)
        if (earliest_s - request.now_s) * 1e3 > self._job.deadline_ms:
            raise DeadlineError(f"no variant can answer within {self._job.deadline_ms} ms")
