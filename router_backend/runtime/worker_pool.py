"""Threads that serve the router's requests, and the limit on requests in flight."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from router_backend.errors import OverloadedError

Item = TypeVar("Item")


class WorkerPool(Generic[Item]):
    """Threads that work on items in order of arrival; the thread that became idle last takes the next item.

    An item waits for its variant most of the time, so there are as many threads as calls in flight. Under
    usual load a few threads suffice, and reusing these pays: their data is still in the processor's cache. A
    queue that all threads wait on uses them in turn instead, which cost a tenth of the throughput at nine
    clients. A thread is started when an item arrives and no thread is idle.

    Args:
        work: processes an item; must not raise.
        threads: the highest number of items that are worked on at a time.
        max_in_flight: the highest number of requests: items that were submitted and are not `done`.
    """

    DRAIN_S = 0.5
    """How long to wait for threads whose request has its answer: a variant that hangs may hold them."""

    def __init__(self, work: Callable[[Item], None], threads: int, max_in_flight: int) -> None:
        self._work = work
        self._max_threads = threads
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._draining = False
        self._waiting: deque[Item] = deque()
        self._workers: list[_Worker[Item]] = []
        self._idle: list[_Worker[Item]] = []
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        """Requests that are not done."""
        return self._in_flight

    def submit(self, item: Item) -> None:
        """Hand a new request to a thread, or queue it while all are busy.

        Raises:
            OverloadedError: the limit is reached, and the item is dropped.
        """
        with self._lock:
            if self._in_flight >= self._max_in_flight:
                raise OverloadedError.of(self._in_flight)
            self._in_flight += 1
        self.resume(item)

    def done(self) -> None:
        """Note that a request was answered."""
        with self._lock:
            self._in_flight -= 1

    def resume(self, item: Item) -> None:
        """Hand more work on a request to a thread, or queue it while all are busy."""
        with self._lock:
            if self._idle:
                worker = self._idle.pop()
            elif len(self._workers) < self._max_threads:
                worker = self._start_worker()
            else:
                self._waiting.append(item)
                return
        worker.wake(item)

    def drain(self) -> None:
        """Finish all requests, then end the threads."""
        with self._lock:
            self._draining = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.wake(None)
        for worker in self._workers:
            while self._in_flight and worker.is_alive():
                worker.join(self.DRAIN_S)
        until_s = time.monotonic() + self.DRAIN_S
        for worker in self._workers:
            worker.join(max(0.0, until_s - time.monotonic()))

    def _start_worker(self) -> "_Worker[Item]":
        worker = _Worker(self._work, self._next, f"router-worker-{len(self._workers)}")
        self._workers.append(worker)
        worker.start()
        return worker

    def _next(self, worker: "_Worker[Item]") -> Item | None:
        """Return the next item of a worker that is done; `None` if it becomes idle, or ends."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._draining:
                worker.ends = True
            else:
                self._idle.append(worker)
            return None


class _Worker(threading.Thread, Generic[Item]):
    """A thread that sleeps until it is woken with an item, or ends instead if `ends` is set."""

    def __init__(
        self, work: Callable[[Item], None], next_item: Callable[["_Worker[Item]"], Item | None], name: str
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.ends = False
        self._work = work
        self._next_item = next_item
        self._item: Item | None = None
        self._woken = threading.Lock()
        self._woken.acquire()

    def wake(self, item: Item | None) -> None:
        """Wake a sleeping worker with an item, or with `None` to end it."""
        self._item = item
        self._woken.release()

    def run(self) -> None:
        """Sleep and work until woken with `None`."""
        while not self.ends:
            self._woken.acquire()
            item, self._item = self._item, None
            if item is None:
                return
            while item is not None:
                self._work(item)
                item = None  # otherwise its tensors would stay in shared memory until the next item
                item = self._next_item(self)
