"""What goes on in a processor that several variants share, as arithmetic without events."""

from __future__ import annotations

import math
from typing import NamedTuple

from router_tools.simulator.job import Job
from router_tools.simulator.pace import Pace


class Member:
    """One variant's jobs: first come first served by c instances.

    Args:
        concurrency: how many are served at once.

    Attributes:
        pace: how fast the variant works at which time, when it has the processor to itself.
        running: what is served, each with the rest of its work in seconds at full speed.
        waiting: what waits, each with its work.
    """

    __slots__ = ("concurrency", "pace", "running", "waiting")

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.pace = Pace()
        self.running: dict[Job, float] = {}
        self.waiting: dict[Job, float] = {}

    def copy(self) -> Member:
        """Another one in the same state."""
        twin = Member(self.concurrency)
        twin.pace = self.pace
        twin.running = dict(self.running)
        twin.waiting = dict(self.waiting)
        return twin

    def start_waiting(self) -> list[Job]:
        """Let what waits have the instances that are free; say what starts."""
        started = list(self.waiting)[: self.concurrency - len(self.running)]
        for job in started:
            self.running[job] = self.waiting.pop(job)
        return started


class End(NamedTuple):
    """The end of a job.

    Args:
        time_s: when.
        member: whose.
        job: which.
    """

    time_s: float
    member: Member
    job: Job


class SharedProcessor:
    """Service takes 1 + contention · others times as long.

    `others` is how many other variants are serving something at that moment; with contention 1, each of n
    busy variants gets 1/n of the processor.

    Args:
        contention: how much slower a variant is for each other busy one.
        members: the variants that share it.
        now_s: the time that their state is of.
    """

    __slots__ = ("_contention", "_now_s", "members")

    def __init__(self, contention: float, members: list[Member], now_s: float) -> None:
        self._contention = contention
        self._now_s = now_s
        self.members = members

    def advance(self, now_s: float) -> None:
        """Let time pass in which nothing starts or ends."""
        slowdown = self._slowdown()
        for member in self.members:
            if member.running:
                done_s = member.pace.work_s(self._now_s, now_s) / slowdown
                for job in member.running:
                    member.running[job] -= done_s
        self._now_s = now_s

    def next_end(self) -> End | None:
        """What ends next if nothing starts before; None: nothing is served."""
        slowdown = self._slowdown()
        ends = (
            End(self._end_s(member, rest_s * slowdown), member, job)
            for member in self.members
            for job, rest_s in member.running.items()
        )
        return min(ends, key=_time_s, default=None)

    def foresee(self, member: Member, job: Job, work_s: float) -> float:
        """When a job would end that came to a member now, with none after it."""
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
        """How much longer everything takes that is served now."""
        busy = sum(1 for member in self.members if member.running)
        return 1.0 + self._contention * max(0, busy - 1)

    def _end_s(self, member: Member, rest_s: float) -> float:
        if rest_s <= 0.0:  # rounded
            return self._now_s
        return max(self._now_s, member.pace.finish_s(self._now_s, rest_s))


def _time_s(end: End) -> float:
    return end.time_s
