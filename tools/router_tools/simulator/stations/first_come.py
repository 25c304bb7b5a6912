"""A variant with c instances, each of which serves one request at a time; first come, first served."""

from heapq import heapreplace

from router_tools.simulator.agenda import Agenda
from router_tools.simulator.job import Job
from router_tools.simulator.stations.base import Station
from router_tools.simulator.world import WorldVariant


class FirstComeStation(Station):
    """Each job is served by the instance that becomes free first.

    Later arrivals do not affect a job, so its end is known when it arrives (Lindley's recursion): each job
    takes one event.
    """

    def __init__(self, variant: WorldVariant, agenda: Agenda) -> None:
        super().__init__(variant, agenda)
        self._free_s = [0.0] * variant.concurrency
        self._jobs: dict[Job, None] = {}

    def _accept(self, job: Job) -> None:
        now_s = self._agenda.now_s
        free_s = self._free_s
        job.started_s = start_s = free_s[0] if free_s[0] > now_s else now_s
        end_s = self._pace.finish_s(start_s, job.work_s[self.name])
        heapreplace(free_s, end_s)
        self._jobs[job] = None
        self._agenda.plan(end_s, self._finish, job)

    def _foresee(self, job: Job) -> float:
        now_s = self._agenda.now_s
        soonest_s = self._free_s[0]
        return self._pace.finish_s(soonest_s if soonest_s > now_s else now_s, job.work_s[self.name])

    def _remaining(self) -> int:
        return len(self._jobs)

    def _finish(self, job: Job) -> None:
        if job in self._jobs:  # otherwise, it has failed
            del self._jobs[job]
            self._answer(job)

    def _clear(self) -> list[Job]:
        jobs = list(self._jobs)
        self._jobs.clear()
        self._free_s = [0.0] * len(self._free_s)
        return jobs
