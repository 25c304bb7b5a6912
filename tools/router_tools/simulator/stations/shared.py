"""A variant that shares a processor with other variants."""

from collections.abc import Sequence

from router_tools.simulator.agenda import Agenda
from router_tools.simulator.job import Job
from router_tools.simulator.pace import Pace
from router_tools.simulator.stations.base import FailingPeriod, Interruption, Station
from router_tools.simulator.stations.processor_sharing import End, Member, SharedProcessor
from router_tools.simulator.world import WorldVariant


class ProcessorEvents:
    """Events of a shared processor: the next end of a job is rescheduled whenever a job starts or ends.

    Args:
        agenda: simulated time.
        contention: the relative slowdown of a variant per other busy variant.

    Attributes:
        processor: the state of the processor.
    """

    def __init__(self, agenda: Agenda, contention: float) -> None:
        self._agenda = agenda
        self._next: End | None = None
        self.processor = SharedProcessor(contention, [], agenda.now_s)

    def advance(self) -> None:
        """Advance the processor to the current time."""
        self.processor.advance(self._agenda.now_s)

    def start_waiting(self) -> None:
        """Start queued jobs on free instances and schedule the next end of a job."""
        for member in self.processor.members:
            for job in member.start_waiting():
                job.started_s = self._agenda.now_s
        self._next = self.processor.next_end()
        if self._next is not None:
            self._agenda.plan(self._next.time_s, self._end, self._next)

    def _end(self, end: End) -> None:
        if end is self._next:  # otherwise, it was rescheduled
            self.advance()
            del end.member.running[end.job]
            self.start_waiting()
            end.member.answer(end.job)


class SharedStation(Station):
    """First come, first served by c instances, on a shared processor.

    Args:
        variant: its true properties.
        agenda: simulated time.
        events: the shared processor.
    """

    def __init__(self, variant: WorldVariant, agenda: Agenda, events: ProcessorEvents) -> None:
        super().__init__(variant, agenda)
        self._member = Member(variant.concurrency, self._answer)
        self._events = events
        events.processor.members.append(self._member)

    def disturb(
        self, pace: Pace, interruptions: Sequence[Interruption], failing: Sequence[FailingPeriod] = ()
    ) -> None:
        """Set the events of a run, while the station is idle.

        Args:
            pace: its speed over time.
            interruptions: when it fails, in order of time and without overlap.
            failing: when it fails some jobs.
        """
        super().disturb(pace, interruptions, failing)
        self._member.pace = pace

    def _accept(self, job: Job) -> None:
        self._events.advance()
        self._member.waiting[job] = job.work_s[self.name]
        self._events.start_waiting()

    def _remaining(self) -> int:
        return len(self._member.running)

    def _foresee(self, job: Job) -> float:
        self._events.advance()
        return self._events.processor.foresee(self._member, job, job.work_s[self.name])

    def _clear(self) -> list[Job]:
        self._events.advance()
        jobs = [*self._member.running, *self._member.waiting]
        self._member.running.clear()
        self._member.waiting.clear()
        self._events.start_waiting()
        return jobs
