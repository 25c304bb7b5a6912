"""A variant behind Triton's dynamic batcher, which merges queued requests into one execution."""

from collections import deque
from functools import cache
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from router_tools.simulator.agenda import Agenda
from router_tools.simulator.job import Job
from router_tools.simulator.stations.base import Station
from router_tools.simulator.world import DynamicBatching, WorldVariant


class Waiting(NamedTuple):
    """A job in the batcher's queue.

    Args:
        arrived_s: arrival time.
        job: the job.
    """

    arrived_s: float
    job: Job


class BatchingStation(Station):
    """Each free instance executes queued requests as one batch; they end together.

    While an instance is free, the first queued requests are executed at once if they add up to a preferred
    size or no further request fits. Otherwise, all queued requests are executed once the first has waited for
    `max_queue_delay`. An execution takes the mean service time of the total batch size at its longest
    sequence, with the noise of its first request.

    References:
        Triton user guide, dynamic batcher: preferred batch sizes and delayed batching.
    """

    def __init__(self, variant: WorldVariant, agenda: Agenda, batching: DynamicBatching) -> None:
        super().__init__(variant, agenda)
        self._batching = batching
        self._queue: deque[Waiting] = deque()
        self._busy: dict[tuple[Job, ...], float] = {}
        self._alarm_s = 0.0
        self._mean_ms = cache(variant.law.mean_ms)

    def _accept(self, job: Job) -> None:
        self._queue.append(Waiting(self._agenda.now_s, job))
        self._send(None)

    def _send(self, _: None) -> None:
        """Start executions on free instances, and schedule the next call if requests have to wait."""
        now_s = self._agenda.now_s
        while self._queue and len(self._busy) < self._variant.concurrency:
            count, due_s = self._next_batch(self._queue)
            if due_s > now_s:
                if due_s != self._alarm_s:
                    self._alarm_s = due_s
                    self._agenda.plan(due_s, self._send, None)
                return
            self._serve(tuple(self._queue.popleft().job for _ in range(count)), now_s)

    def _serve(self, jobs: tuple[Job, ...], now_s: float) -> None:
        for job in jobs:
            job.started_s = now_s
        end_s = self._pace.finish_s(now_s, self._work_s(jobs))
        self._busy[jobs] = end_s
        self._agenda.plan(end_s, self._finish, jobs)

    def _finish(self, jobs: tuple[Job, ...]) -> None:
        if jobs in self._busy:  # otherwise, they have failed
            del self._busy[jobs]
            for job in jobs:
                self._answer(job)
            self._send(None)

    def _remaining(self) -> int:
        return len(self._busy)

    def _foresee(self, job: Job) -> float:
        """Simulate the queue until the job is served."""
        now_s = self._agenda.now_s
        queue = deque((*self._queue, Waiting(now_s, job)))
        free_s = [*self._busy.values(), *[now_s] * (self._variant.concurrency - len(self._busy))]
        heapify(free_s)
        while True:
            count, due_s = self._next_batch(queue)
            jobs = tuple(queue.popleft().job for _ in range(count))
            end_s = self._pace.finish_s(max(heappop(free_s), due_s, now_s), self._work_s(jobs))
            if job in jobs:
                return end_s
            heappush(free_s, end_s)

    def _clear(self) -> list[Job]:
        jobs = [job for batch in self._busy for job in batch] + [waiting.job for waiting in self._queue]
        self._busy.clear()
        self._queue.clear()
        return jobs

    def _next_batch(self, queue: deque[Waiting]) -> tuple[int, float]:
        """Return the number of queued requests to execute together, and when; a past time means now."""
        batching = self._batching
        count = size = preferred_count = 0
        for _, job in queue:
            if count and size + job.batch_size > batching.max_batch_size:
                return preferred_count or count, 0.0  # full
            count += 1
            size += job.batch_size
            if size in batching.preferred_batch_sizes:
                preferred_count = count
        if preferred_count or size >= batching.max_batch_size:
            return preferred_count or count, 0.0
        return count, queue[0].arrived_s + batching.max_queue_delay_s

    def _work_s(self, jobs: tuple[Job, ...]) -> float:
        """Return the time of an execution in seconds at full speed."""
        first = jobs[0]
        if len(jobs) == 1:
            return first.work_s[self.name]
        mean_ms = self._mean_ms
        noise = first.work_s[self.name] / mean_ms(first.batch_size, first.sequence_length)
        batch_size = sum(job.batch_size for job in jobs)
        return noise * mean_ms(batch_size, max(job.sequence_length for job in jobs))
