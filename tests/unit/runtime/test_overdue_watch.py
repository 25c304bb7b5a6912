import threading
import time
from collections.abc import Iterator
from math import inf

import pytest

from router_backend.runtime.overdue_watch import OverdueWatch

PATIENCE_S = 30.0


class Alarm:
    """Something due, which notes when it passed."""

    def __init__(self, in_s: float, error: Exception | None = None) -> None:
        self.due_s = time.monotonic() + in_s
        self.passed_s = 0.0
        self._error = error
        self._passed = threading.Event()

    def passed(self) -> None:
        self.passed_s = time.monotonic()
        self._passed.set()
        if self._error is not None:
            raise self._error

    def is_heard(self, within_s: float = PATIENCE_S) -> bool:
        return self._passed.wait(within_s)


@pytest.fixture
def defects() -> list[BaseException]:
    return []


@pytest.fixture
def watch(defects: list[BaseException]) -> Iterator[OverdueWatch]:
    made = OverdueWatch(defects.append)
    made.start()
    yield made
    made.stop()


def test_what_is_due_passes_after_its_time_and_in_order(watch: OverdueWatch):
    later, sooner = Alarm(0.1), Alarm(0.02)
    for alarm in (later, sooner):
        watch.add(alarm)
    for alarm in (sooner, later):
        assert alarm.is_heard()
        assert alarm.passed_s >= alarm.due_s
    assert sooner.passed_s < later.passed_s


def test_what_is_removed_does_not_pass(watch: OverdueWatch):
    removed, kept = Alarm(0.02), Alarm(0.05)
    watch.add(removed)
    watch.add(kept)
    watch.remove(removed)
    assert kept.is_heard()
    assert not removed.is_heard(0.0)
    watch.remove(kept)


def test_what_is_never_due_is_not_kept(watch: OverdueWatch):
    never = Alarm(inf)
    watch.add(never)
    assert not watch._watched


def test_what_is_added_while_it_sleeps_for_longer_wakes_it(watch: OverdueWatch):
    watch.add(Alarm(3600.0))
    sooner = Alarm(0.01)
    watch.add(sooner)
    assert sooner.is_heard()


def test_a_defect_is_reported_and_the_next_one_still_passes(
    watch: OverdueWatch, defects: list[BaseException]
):
    defect = ZeroDivisionError("no call")
    broken, whole = Alarm(0.0, defect), Alarm(0.02)
    watch.add(broken)
    watch.add(whole)
    assert whole.is_heard()
    assert defects == [defect]


def test_of_many_from_many_threads_each_passes_once(watch: OverdueWatch):
    alarms = [Alarm(0.001 * (number % 50)) for number in range(2000)]
    threads = [
        threading.Thread(target=lambda mine=alarms[start::4]: [watch.add(alarm) for alarm in mine])
        for start in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(alarm.is_heard() for alarm in alarms)
