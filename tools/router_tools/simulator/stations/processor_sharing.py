"""State of a processor that several variants share, without events."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from router_tools.simulator.job import Job
from router_tools.simulator.pace import Pace


class Member:
    """The jobs of one variant: first come, first served by c instances.

    Args:
        concurrency: the number of instances.
        answer: called with each job that is done.

    Attributes:
        pace: the speed of the variant over time if it has the processor to itself.
        running: the jobs in service, with their remaining work in seconds at full speed.
        waiting: the queued jobs, with their work in seconds at full speed.
    """

    __slots__ = ("answer", "concurrency", "pace", "running", "waiting")

    def __init__(self, concurrency: int, answer: Callable[[Job], None] = Job.answered) -> None:
        self.concurrency = concurrency
        self.answer = answer
        self.pace = Pace()
        self.running: dict[Job, float] = {}
        self.waiting: dict[Job, float] = {}

    def copy(self) -> Member:
        """Return an independent copy of the state."""
        twin = Member(self.concurrency, self.answer)
        twin.pace = self.pace
        twin.running = dict(self.running)
        twin.waiting = dict(self.waiting)
        return twin

    def start_waiting(self) -> list[Job]:
        """Start queued jobs on free instances and return them."""
        started = list(self.waiting)[: self.concurrency - len(self.running)]
        for job in started:
            self.running[job] = self.waiting.pop(job)
        return started


class End(NamedTuple):
    """The end of a job.

    Args:
        time_s: the time.
        member: the variant.
        job: the job.
    """

    time_s: float
    member: Member
    job: Job


class SharedProcessor:
    """Service takes 1 + contention · others times as long.

    `others` is the number of other busy variants. With contention 1, each of n busy variants gets 1/n of the
    processor.

    Args:
        contention: the relative slowdown per other busy variant.
        members: the variants that share the processor.
        now_s: the time of their state.
    """

    __slots__ = ("_contention", "_now_s", "members")

    def __init__(self, contention: float, members: list[Member], now_s: float) -> None:
        self._contention = contention
        self._now_s = now_s
        self.members = members

    def advance(self, now_s: float) -> None:
        """Advance the time; no job may start or end meanwhile."""
        slowdown = self._slowdown()
        for member in self.members:
            if member.running:
                done_s = member.pace.work_s(self._now_s, now_s) / slowdown
                for job in member.running:
                    member.running[job] -= done_s
        self._now_s = now_s

    def next_end(self) -> End | None:
        """Return the next end of a job if none starts before; `None` if no job is in service."""
        slowdown = self._slowdown()
        ends = (
            End(self._end_s(member, rest_s * slowdown), member, job)
            for member in self.members
            for job, rest_s in member.running.items()
        )
        return min(ends, key=_time_s, default=None)

    def foresee(self, member: Member, job: Job, work_s: float) -> float:
        """Return when a job that arrives at a member now would end if no other followed."""
        twins = [other.copy() for other in self.members]
        twin = twins[self.members.index(member)]
        twin.waiting[job] = work_s
        twin.start_waiting()
        future = SharedProcessor(self._contention, twins, self._now_s)
        while (end := future.next_end()) is not None and end.job is not job:
            future.advance(end.time_s)
            del end.member.running[end.job]
            end.member.start_waiting()
        return math.inf if end is None else end.time_s

    def _slowdown(self) -> float:
        """Return the current factor on all service times."""
        busy = sum(1 for member in self.members if member.running)
        return 1.0 + self._contention * max(0, busy - 1)

    def _end_s(self, member: Member, rest_s: float) -> float:
        if rest_s <= 0.0:  # by rounding
            return self._now_s
        return max(self._now_s, member.pace.finish_s(self._now_s, rest_s))


def _time_s(end: End) -> float:
    return end.time_s
