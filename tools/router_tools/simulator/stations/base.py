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

    def disturb(self, pace: Pace, interruptions: Sequence[Interruption]) -> None:
        """Set the events of a run, while the station is idle.

        Args:
            pace: its speed over time.
            interruptions: when it fails, in order of time and without overlap.
        """
        self._pace = pace
        self._coming = list(interruptions)
        for interruption in interruptions:
            self._agenda.plan(interruption.from_s, self._change, interruption)
            self._agenda.plan(interruption.to_s, self._change, None)

    def submit(self, job: Job) -> None:
        """Accept a job at the current time; `job.answered` or `job.failed` is called when it ends."""
        if self._present is None:
            self._accept(job)
        else:
            self._fail(job)

    def completion_s(self, job: Job) -> float:
        """Return when a job that arrives now would be answered if no other followed; infinite if it fails."""
        if self._present is not None:
            return math.inf
        completion_s = self._foresee(job)
        if self._coming and completion_s > self._coming[0].from_s:
            return math.inf
        return completion_s

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

    def _fail(self, job: Job) -> None:
        assert self._present is not None
        self._agenda.plan(self._agenda.now_s + self._present.error_s, job.failed, self._present.fault)
