"""A variant on a processor that it shares with other variants."""

from collections.abc import Sequence

from router_tools.simulator.agenda import Agenda
from router_tools.simulator.job import Job
from router_tools.simulator.pace import Pace
from router_tools.simulator.stations.base import Interruption, Station
from router_tools.simulator.stations.processor_sharing import End, Member, SharedProcessor
from router_tools.simulator.world import WorldVariant


class ProcessorEvents:
    """A shared processor on the agenda: what ends next is planned anew whenever something starts.

    Args:
        agenda: simulated time.
        contention: how much slower a variant is for each other busy one.
    """

    def __init__(self, agenda: Agenda, contention: float) -> None:
        self._agenda = agenda
        self._next: End | None = None
        self.processor = SharedProcessor(contention, [], agenda.now_s)

    def advance(self) -> None:
        """Bring the processor's state to the present."""
        self.processor.advance(self._agenda.now_s)

    def start_waiting(self) -> None:
        """Let what waits have the instances that are free, and plan what ends next."""
        for member in self.processor.members:
            for job in member.start_waiting():
                job.started_s = self._agenda.now_s
        self._next = self.processor.next_end()
        if self._next is not None:
            self._agenda.plan(self._next.time_s, self._end, self._next)

    def _end(self, end: End) -> None:
        if end is self._next:  # else something started since
            self.advance()
            del end.member.running[end.job]
            self.start_waiting()
            end.job.answered()


class SharedStation(Station):
    """First come first served by c instances, on a processor that others use as well.

    Args:
        variant: as it truly is.
        agenda: simulated time.
        events: the processor.
    """

    def __init__(self, variant: WorldVariant, agenda: Agenda, events: ProcessorEvents) -> None:
        super().__init__(variant, agenda)
        self._member = Member(variant.concurrency)
        self._events = events
        events.processor.members.append(self._member)

    def disturb(self, pace: Pace, interruptions: Sequence[Interruption]) -> None:
        """Have things happen to it, while it is idle."""
        super().disturb(pace, interruptions)
        self._member.pace = pace

    def _accept(self, job: Job) -> None:
        self._events.advance()
        self._member.waiting[job] = job.work_s[self.name]
        self._events.start_waiting()

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
