"""Base class of stations: handling of jobs, outages, and foresight for the oracle."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from router_backend.core.records.outcome import Fault
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.job import Job
from router_tools.simulator.pace import Pace
from router_tools.simulator.world import WorldVariant


class Interruption(NamedTuple):
    """A period in which all jobs at a variant fail.

    Args:
        from_s: start of the period.
        to_s: end of the period.
        error_s: time that a call takes to fail.
        fault: the kind of failure.
    """

    from_s: float
    to_s: float
    error_s: float
    fault: Fault


class FailingPeriod(NamedTuple):
    """A period in which some jobs fail.

    Args:
        from_s: start of the period.
        to_s: end of the period.
        share: the probability that a job fails.
        error_s: time that a call takes to fail, without an instance; `None`: it fails after its service.
        fault: the kind of failure.
    """

    from_s: float
    to_s: float
    share: float
    error_s: float | None = None
    fault: Fault = Fault.ERROR


class Station(ABC):
    """One variant that serves jobs; without events until `disturb` is called.

    Args:
        variant: its true properties.
        agenda: simulated time.
    """

    def __init__(self, variant: WorldVariant, agenda: Agenda) -> None:
        self.name = variant.name
        self._variant = variant
        self._agenda = agenda
        self._pace = Pace()
        self._coming: list[Interruption] = []
        self._present: Interruption | None = None
        self._failing: Sequence[FailingPeriod] = ()
        self._cold_factor = variant.cold_factor

    def disturb(
        self, pace: Pace, interruptions: Sequence[Interruption], failing: Sequence[FailingPeriod] = ()
    ) -> None:
        """Set the events of a run, while the station is idle.

        Args:
            pace: its speed over time.
            interruptions: when it fails, in order of time and without overlap.
            failing: when it fails some jobs.
        """
        self._failing = failing
        self._pace = pace
        self._coming = list(interruptions)
        for interruption in interruptions:
            self._agenda.plan(interruption.from_s, self._change, interruption)
            self._agenda.plan(interruption.to_s, self._change, None)

    def submit(self, job: Job) -> None:
        """Accept a job at the current time; `job.answered` or `job.failed` is called when it ends."""
        if self._present is not None:
            self._fail(job)
            return
        period = self._fails_at_once(job)
        if period is not None:
            assert period.error_s is not None
            self._agenda.plan(self._agenda.now_s + period.error_s, job.failed, period.fault)
            return
        if self._cold_factor != 1.0:
            job.work_s = self._cold_work_s(job)
            self._cold_factor = 1.0
        self._accept(job)

    def completion_s(self, job: Job, *, warm: bool = False) -> float:
        """Return when a job that arrives now would be answered if no other followed; infinite if it fails.

        Args:
            job: the job.
            warm: as if it was not the first.
        """
        if self._present is not None or self._fails_at_once(job) is not None:
            return math.inf
        if self._cold_factor != 1.0 and not warm:
            job = Job(job.batch_size, job.sequence_length, self._cold_work_s(job), job.luck)
        completion_s = self._foresee(job)
        if self._is_unlucky(job, completion_s):
            return math.inf
        if self._coming and completion_s > self._coming[0].from_s:
            return math.inf
        return completion_s

    def failure_share(self, now_s: float) -> float:
        """Return the probability that a job fails that ends now."""
        return max((each.share for each in self._failing if each.from_s <= now_s < each.to_s), default=0.0)

    def drawn_w(self) -> float | None:
        """Return the power that its device drew when a job was just answered; `None` if it is unknown.

        Each instance that serves draws an equal share of the device's power.
        """
        power_w, instances = self._variant.power_w, self._variant.concurrency
        return None if power_w is None else power_w * min(self._remaining() + 1, instances) / instances

    @abstractmethod
    def _remaining(self) -> int:
        """Return how many executions remain, waiting ones may count, when one has just ended."""

    @abstractmethod
    def _accept(self, job: Job) -> None:
        """Queue or serve a job that arrives now."""

    @abstractmethod
    def _foresee(self, job: Job) -> float:
        """Return when a job that arrives now would be answered if no other followed and nothing failed."""

    @abstractmethod
    def _clear(self) -> list[Job]:
        """Remove and return all jobs at the station."""

    def _change(self, present: Interruption | None) -> None:
        self._present = present
        if present is not None:
            self._coming.remove(present)
            for job in self._clear():
                self._fail(job)

    def _answer(self, job: Job) -> None:
        if self._is_unlucky(job, self._agenda.now_s):
            job.failed(Fault.ERROR)
        else:
            job.answered()

    def _fails_at_once(self, job: Job) -> FailingPeriod | None:
        """Return the period in which a job that arrives now fails without service; `None` if it does not."""
        luck, now_s = job.luck.get(self.name, 1.0), self._agenda.now_s
        for each in self._failing:
            if each.error_s is not None and each.from_s <= now_s < each.to_s and luck < each.share:
                return each
        return None

    def _is_unlucky(self, job: Job, end_s: float) -> bool:
        """Return whether a job fails after its service."""
        luck = job.luck.get(self.name, 1.0)
        return any(
            each.error_s is None and each.from_s <= end_s < each.to_s and luck < each.share
            for each in self._failing
        )

    def _cold_work_s(self, job: Job) -> dict[str, float]:
        return {**job.work_s, self.name: self._cold_factor * job.work_s[self.name]}

    def _fail(self, job: Job) -> None:
        assert self._present is not None
        self._agenda.plan(self._agenda.now_s + self._present.error_s, job.failed, self._present.fault)
