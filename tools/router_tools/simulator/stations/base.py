"""What every variant of the world does with a job, and what a clairvoyant sees of it."""

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
    """From a time to a time, the variant fails whatever is or comes there.

    Args:
        from_s: when it begins.
        to_s: when it ends.
        error_s: how long a call takes to fail.
        fault: how it fails.
    """

    from_s: float
    to_s: float
    error_s: float
    fault: Fault


class Station(ABC):
    """One variant at work, undisturbed until told otherwise.

    Args:
        variant: as it truly is.
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
        """Have things happen to it, while it is idle.

        Args:
            pace: how fast it works at which time.
            interruptions: when it fails, in the order of time, not overlapping.
        """
        self._pace = pace
        self._coming = list(interruptions)
        for interruption in interruptions:
            self._agenda.plan(interruption.from_s, self._change, interruption)
            self._agenda.plan(interruption.to_s, self._change, None)

    def submit(self, job: Job) -> None:
        """Take a job now; it is told later how it ended."""
        if self._present is None:
            self._accept(job)
        else:
            self._fail(job)

    def completion_s(self, job: Job) -> float:
        """When the job would be answered if it came now and no other after it; infinite: never."""
        if self._present is not None:
            return math.inf
        completion_s = self._foresee(job)
        if self._coming and completion_s > self._coming[0].from_s:
            return math.inf
        return completion_s

    @abstractmethod
    def _accept(self, job: Job) -> None:
        """Queue or serve a job that came now."""

    @abstractmethod
    def _foresee(self, job: Job) -> float:
        """When the job would be answered if it came now and no other after it, and nothing failed."""

    @abstractmethod
    def _clear(self) -> list[Job]:
        """Forget every job that is here, and say which they were."""

    def _change(self, present: Interruption | None) -> None:
        self._present = present
        if present is not None:
            self._coming.remove(present)
            for job in self._clear():
                self._fail(job)

    def _fail(self, job: Job) -> None:
        assert self._present is not None
        self._agenda.plan(self._agenda.now_s + self._present.error_s, job.failed, self._present.fault)
