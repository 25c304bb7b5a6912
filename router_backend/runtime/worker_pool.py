"""Threads that serve the router's requests, and the limit on how many are inside."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from router_backend.errors import OverloadedError

Item = TypeVar("Item")


class WorkerPool(Generic[Item]):
    """Threads that work on items in the order of their arrival; the one that rested least takes the next.

    An item waits on its variant for most of its life, so there are as many threads as calls may be under
    way. Under usual load a few would do, and it pays to keep to these: what they touch is still in
    the processor's cache. A queue that all threads wait at takes them in turn instead, which cost a tenth
    of the throughput at nine clients. A thread is started when an item comes and none rests.

    Args:
        work: what is done with an item; must not raise.
        threads: how many items are worked on at a time.
        max_in_flight: how many may be inside, waiting ones included.
    """

    def __init__(self, work: Callable[[Item], None], threads: int, max_in_flight: int) -> None:
        self._work = work
        self._most_threads = threads
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._draining = False
        self._waiting: deque[Item] = deque()
        self._workers: list[_Worker[Item]] = []
        self._resting: list[_Worker[Item]] = []
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        """How many items are inside."""
        return self._in_flight

    def submit(self, item: Item) -> None:
        """Hand an item to a thread, or queue it while all are at work.

        Raises:
            OverloadedError: the limit is reached; the item will not be worked on.
        """
        with self._lock:
            if self._in_flight >= self._max_in_flight:
                raise OverloadedError(
                    f"{self._in_flight} requests are in flight, which is the limit: send fewer at a time, "
                    f"or raise the router's parameter 'max_in_flight'"
                )
            self._in_flight += 1
            if self._resting:
                worker = self._resting.pop()
            elif len(self._workers) < self._most_threads:
                worker = self._hire()
            else:
                self._waiting.append(item)
                return
        worker.wake(item)

    def drain(self) -> None:
        """Finish every item that is inside, then end the threads."""
        with self._lock:
            self._draining = True
            resting, self._resting = self._resting, []
        for worker in resting:
            worker.wake(None)
        for worker in self._workers:
            worker.join()

    def _hire(self) -> "_Worker[Item]":
        worker = _Worker(self._work, self._next, f"router-worker-{len(self._workers)}")
        self._workers.append(worker)
        worker.start()
        return worker

    def _next(self, worker: "_Worker[Item]") -> Item | None:
        """What a worker that is done works on next; None: it rests, or ends if the pool is drained."""
        with self._lock:
            self._in_flight -= 1
            if self._waiting:
                return self._waiting.popleft()
            if self._draining:
                worker.ends = True
            else:
                self._resting.append(worker)
            return None


class _Worker(threading.Thread, Generic[Item]):
    """A thread that sleeps until it is woken with an item.

    Attributes:
        ends: whether it ends instead of going to sleep.
    """

    def __init__(
        self,
        work: Callable[[Item], None],
        next_item: Callable[["_Worker[Item]"], Item | None],
        name: str,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.ends = False
        self._work = work
        self._next_item = next_item
        self._item: Item | None = None
        self._woken = threading.Lock()
        self._woken.acquire()

    def wake(self, item: Item | None) -> None:
        """Give a sleeping worker an item; None: it is to end."""
        self._item = item
        self._woken.release()

    def run(self) -> None:
        """Sleep and work, until woken with nothing."""
        while not self.ends:
            self._woken.acquire()
            item, self._item = self._item, None
            if item is None:
                return
            while item is not None:
                self._work(item)
                item = None  # its tensors would stay in shared memory until this thread has other work
                item = self._next_item(self)
