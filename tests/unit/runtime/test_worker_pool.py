import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from router_backend.errors import OverloadedError
from router_backend.runtime.worker_pool import WorkerPool

PATIENCE_S = 30.0


class Gate:
    """Work that reports its start and ends when the test releases it."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.finish = threading.Semaphore(0)
        self.done: list[int] = []

    def __call__(self, item: int) -> None:
        self.started.release()
        assert self.finish.acquire(timeout=PATIENCE_S)
        self.done.append(item)

    def wait_for_starts(self, count: int) -> None:
        for _ in range(count):
            assert self.started.acquire(timeout=PATIENCE_S)

    def let_through(self, count: int) -> None:
        for _ in range(count):
            self.finish.release()


def pool_of(work: Callable[[int], object], threads: int, max_in_flight: int) -> WorkerPool[int]:
    """Return a pool whose work on an item is all that there is to do for a request."""

    def work_and_finish(item: int) -> None:
        work(item)
        pool.done()

    pool = WorkerPool(work_and_finish, threads, max_in_flight)
    return pool


@contextmanager
def gated_pool(threads: int, max_in_flight: int) -> Iterator[tuple[WorkerPool[int], Gate]]:
    gate = Gate()
    pool = pool_of(gate, threads, max_in_flight)
    try:
        yield pool, gate
    finally:
        gate.let_through(1000)
        pool.drain()


def test_one_thread_works_in_the_order_of_arrival():
    done: list[int] = []
    pool = pool_of(done.append, threads=1, max_in_flight=100)
    for item in range(50):
        pool.submit(item)
    pool.drain()
    assert done == list(range(50))


def test_as_many_items_run_at_once_as_there_are_threads():
    with gated_pool(threads=3, max_in_flight=10) as (pool, gate):
        for item in range(4):
            pool.submit(item)
        gate.wait_for_starts(3)
        assert not gate.started.acquire(blocking=False)
        gate.let_through(1)
        gate.wait_for_starts(1)


def test_an_item_beyond_the_limit_is_refused_with_the_limit_and_what_to_do():
    with gated_pool(threads=1, max_in_flight=3) as (pool, gate):
        for item in range(3):
            pool.submit(item)
        with pytest.raises(
            OverloadedError, match=r"3 requests are in flight, which is the limit.*'max_in_flight'"
        ):
            pool.submit(99)
        gate.let_through(3)
    assert gate.done == [0, 1, 2]


def test_a_finished_item_makes_room_for_another():
    with gated_pool(threads=1, max_in_flight=2) as (pool, gate):
        pool.submit(0)
        pool.submit(1)
        gate.wait_for_starts(1)
        gate.let_through(1)
        gate.wait_for_starts(1)  # the thread has finished item 0
        pool.submit(2)
        with pytest.raises(OverloadedError):
            pool.submit(3)


def test_drain_finishes_all_items_and_ends_the_threads():
    before = set(threading.enumerate())
    gate = Gate()
    pool = pool_of(gate, threads=2, max_in_flight=10)
    for item in range(6):
        pool.submit(item)
    mine = set(threading.enumerate()) - before
    assert len(mine) == 2
    gate.let_through(6)
    pool.drain()
    assert sorted(gate.done) == list(range(6))
    assert not any(thread.is_alive() for thread in mine)


def test_many_threads_may_submit_at_once_and_every_item_is_worked_on_once():
    lock, seen = threading.Lock(), []

    def work(item: int) -> None:
        with lock:
            seen.append(item)

    pool = pool_of(work, threads=4, max_in_flight=100_000)
    submitters = [
        threading.Thread(target=lambda start: [pool.submit(start + i) for i in range(500)], args=(500 * n,))
        for n in range(8)
    ]
    for thread in submitters:
        thread.start()
    for thread in submitters:
        thread.join()
    pool.drain()
    assert sorted(seen) == list(range(4000))


def test_items_one_after_the_other_are_all_worked_on_by_the_same_thread():
    workers: list[str] = []
    finished = threading.Semaphore(0)

    def work(item: int) -> None:
        workers.append(threading.current_thread().name)

    pool = pool_of(work, threads=8, max_in_flight=10)
    for item in range(50):
        pool.submit(item)
        while pool.in_flight:
            finished.acquire(timeout=0.001)
    pool.drain()
    assert len(workers) == 50
    assert len(set(workers)) == 1


def test_work_on_a_request_that_goes_on_needs_no_room():
    with gated_pool(threads=2, max_in_flight=1) as (pool, gate):
        pool.submit(0)
        pool.resume(1)
        gate.wait_for_starts(2)


def test_threads_that_a_request_with_an_answer_has_left_stuck_do_not_keep_it_from_ending():
    gate = Gate()
    pool = WorkerPool(gate, threads=1, max_in_flight=1)
    pool.submit(0)
    gate.wait_for_starts(1)
    pool.done()
    pool.drain()
    assert gate.done == []
    gate.let_through(1)


def test_every_item_is_worked_on_once_when_many_come_from_many_threads():
    done: list[int] = []
    pool = pool_of(done.append, threads=5, max_in_flight=10_000)
    feeders = [
        threading.Thread(target=lambda first=first: [pool.submit(item) for item in range(first, first + 500)])
        for first in range(0, 2000, 500)
    ]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()
    pool.drain()
    assert sorted(done) == list(range(2000))
