import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router_backend.core.model.recorder import NOT_LOADED
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.runtime.healer import (
    CannotReloadError,
    Healer,
    NotReachedError,
    ReloadFailedError,
    UnloadedError,
)
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.reload_lock import ReloadLock
from router_backend.runtime.router_model import Log
from tests.unit.runtime.routers import router_of

PATIENCE_S = 30.0


class Server:
    """Loads models as the test says."""

    def __init__(self) -> None:
        self.reloads: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
        self.errors: list[Exception] = []
        self.hung: set[str] = set()
        self.go_on = threading.Event()
        self.go_on.set()

    def reload(self, variant: str, unloads: bool) -> None:
        self.reloads.put((variant, unloads))
        assert variant not in self.hung or self.go_on.wait(PATIENCE_S)
        if self.errors:
            raise self.errors.pop(0)

    def hang(self, variant: str) -> None:
        self.hung.add(variant)
        self.go_on.clear()

    def wait_for_reload(self) -> str:
        return self.wait_for_load()[0]

    def wait_for_load(self) -> tuple[str, bool]:
        return self.reloads.get(timeout=PATIENCE_S)


class Heals:
    """A healer of the router `m` with the variants `a` and `b`."""

    def __init__(self, folder: Path, **parameters: str) -> None:
        self.server = Server()
        setup, self.router = router_of(folder, **parameters)
        self.logged: list[str] = []
        log = Log(self.logged.append, self.logged.append, self.logged.append)
        self.readiness = Readiness(setup, self.router, lambda _: True)
        self.readiness.look()
        self.healer = Healer(setup, self.router, self.readiness, self.server.reload, log)
        self.healer.start()

    def dies(self, variant: str) -> None:
        context = RoutingContext(allowed_variants=frozenset({variant}), warmup=True)
        self.router.dispatch("m", context).next_attempt().failed(Fault.DEAD)
        self.readiness.failed(variant, Fault.DEAD)

    def counted(self, variant: str) -> tuple[int, int]:
        counts = self.router.get_metrics().get_model_metrics("m").variants[variant].counts
        return counts.reloads, counts.failed_reloads


def until(condition: Callable[[], bool]) -> None:
    ended = threading.Event()
    for _ in range(3000):
        if condition():
            return
        ended.wait(0.01)
    raise AssertionError("it has not happened in time")


@contextmanager
def healing(folder: Path, **parameters: str) -> Iterator[Heals]:
    heals = Heals(folder, **parameters)
    try:
        yield heals
    finally:
        heals.server.go_on.set()
        heals.healer.stop()


@pytest.fixture
def heals(tmp_path: Path) -> Iterator[Heals]:
    with healing(tmp_path) as made:
        yield made


def test_a_dead_variant_is_loaded_again_and_gets_no_requests_meanwhile(heals: Heals):
    heals.server.hang("a")
    heals.dies("a")
    assert heals.server.wait_for_reload() == "a"
    state = heals.router.model("m").state("a")
    assert state.not_ready_reason == "not ready: its process has ended, and it is loaded again"
    assert heals.readiness.look() == []
    assert state.not_ready_reason is not None
    heals.server.go_on.set()
    until(lambda: state.not_ready_reason is None)
    assert state.breaker.probe_is_due(0.0) or state.breaker.allows(heals.router.model("m").now_s())
    until(lambda: heals.counted("a") == (1, 0))
    assert heals.counted("b") == (0, 0)
    until(lambda: any("'a' was loaded again" in line for line in heals.logged))


def test_other_failures_are_none_of_its_business(heals: Heals):
    for fault in (Fault.OVERDUE, Fault.NOT_READY, Fault.ERROR):
        heals.readiness.failed("a", fault)
    heals.dies("b")
    assert heals.server.wait_for_reload() == "b"
    assert heals.server.reloads.empty()


def test_a_variant_that_does_not_load_is_tried_again_after_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Healer, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(ReloadLock, "AGAIN_AFTER_S", 0.0)
    with healing(tmp_path) as heals:
        heals.server.errors = [ReloadFailedError("no memory"), ReloadFailedError("no memory")]
        heals.dies("a")
        loads = [heals.server.wait_for_load() for _ in range(3)]
        assert loads == [("a", True), ("a", False), ("a", False)]  # it is no longer loaded
        until(lambda: heals.counted("a") == (1, 2))
        assert sum("could not be loaded again: no memory" in line for line in heals.logged) == 2


def test_a_failed_load_is_tried_again_whatever_became_of_the_breaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Healer, "FIRST_PAUSE_S", 0.02)
    with healing(tmp_path) as heals:
        heals.server.hang("a")
        heals.server.errors = [ReloadFailedError("no memory")]
        heals.dies("a")
        heals.server.wait_for_reload()
        breaker = heals.router.model("m").state("a").breaker
        breaker.dispatched()
        breaker.failed(Fault.OVERDUE, heals.router.model("m").now_s())
        heals.server.go_on.set()
        assert heals.server.wait_for_load() == ("a", False)


def test_a_server_that_did_not_answer_is_asked_for_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Healer, "FIRST_PAUSE_S", 0.02)
    with healing(tmp_path) as heals:
        heals.server.errors = [NotReachedError("refused"), ReloadFailedError("no memory")]
        heals.dies("a")
        loads = [heals.server.wait_for_load() for _ in range(3)]
        assert loads == [("a", True), ("a", True), ("a", False)]
        until(lambda: heals.counted("a") == (1, 2))


def test_a_load_that_hangs_delays_no_other(heals: Heals) -> None:
    heals.server.hang("a")
    heals.dies("a")
    assert heals.server.wait_for_reload() == "a"
    heals.dies("b")
    assert heals.server.wait_for_reload() == "b"
    until(lambda: heals.counted("b") == (1, 0))
    assert heals.counted("a") == (0, 0)


def test_a_load_that_hangs_is_reported_and_does_not_keep_the_router_from_ending(
    heals: Heals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Healer, "LATE_S", 0.01)
    monkeypatch.setattr(Healer, "STOP_WITHIN_S", 0.01)
    heals.server.hang("a")
    heals.dies("a")
    until(lambda: any("'a' has been loading for 0 s; if its process" in line for line in heals.logged))
    heals.healer.stop()
    assert not has_ended(heals, "a")


def test_a_load_that_ends_in_time_is_not_reported(heals: Heals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Healer, "LATE_S", 0.3)
    heals.dies("a")
    until(lambda: heals.counted("a") == (1, 0))
    time.sleep(0.5)
    assert not any("has been loading" in line for line in heals.logged)


def has_ended(heals: Heals, variant: str) -> bool:
    return variant not in heals.healer._threads


def test_a_variant_that_dies_again_waits_longer(heals: Heals):
    heals.dies("a")
    assert heals.server.wait_for_reload() == "a"
    until(lambda: has_ended(heals, "a"))
    before_s = time.monotonic()
    assert before_s + 4.0 < heals.healer._next_s("a") <= before_s + Healer.FIRST_PAUSE_S
    assert heals.healer._pause_s["a"] == 2.0 * Healer.FIRST_PAUSE_S


def dies_twice(heals: Heals) -> None:
    """Let a variant die, load it, and let it die again, so that the next load is due in a moment."""
    heals.dies("a")
    assert heals.server.wait_for_reload() == "a"
    until(lambda: has_ended(heals, "a"))
    heals.dies("a")
    assert not has_ended(heals, "a")


@pytest.mark.parametrize("repaired", ["loaded", "answered"])
def test_what_the_operator_has_loaded_meanwhile_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repaired: str
) -> None:
    monkeypatch.setattr(Healer, "FIRST_PAUSE_S", 0.5)
    monkeypatch.setattr(ReloadLock, "AGAIN_AFTER_S", 0.0)
    with healing(tmp_path) as heals:
        dies_twice(heals)
        if repaired == "loaded":
            heals.router.model("m").set_ready("a", NOT_LOADED)
            heals.router.model("m").set_ready("a", None)
        else:
            heals.router.model("m").state("a").breaker.succeeded()
        until(lambda: has_ended(heals, "a"))
        assert heals.server.reloads.empty()


def test_what_the_operator_has_unloaded_meanwhile_is_left(heals: Heals) -> None:
    heals.server.errors = [UnloadedError("it is not loaded")]
    heals.dies("a")
    assert heals.server.wait_for_load() == ("a", True)
    until(lambda: has_ended(heals, "a"))
    assert heals.counted("a") == (0, 0)
    assert any("'a' was unloaded after its death, and stays so" in line for line in heals.logged)
    assert heals.server.reloads.empty()


def test_one_that_another_router_loads_is_looked_at_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Healer, "FIRST_PAUSE_S", 0.02)
    with healing(tmp_path) as heals:
        with heals.healer._lock.hold("a") as is_mine:
            assert is_mine
            heals.dies("a")
            until(lambda: "a" in heals.healer._tried_s)
            assert heals.server.reloads.empty()
        assert heals.server.wait_for_reload() == "a"


def test_a_load_that_fails_slowly_is_not_tried_again_at_once(heals: Heals) -> None:
    heals.server.hang("a")
    heals.server.errors = [ReloadFailedError("no memory")]
    heals.dies("a")
    heals.server.wait_for_reload()
    assert "a" not in heals.healer._tried_s  # the pause begins when the load has ended
    heals.server.go_on.set()
    until(lambda: "a" in heals.healer._tried_s)


def test_a_server_that_does_not_allow_it_is_asked_once(heals: Heals):
    heals.server.errors = [CannotReloadError("not allowed")]
    heals.dies("a")
    heals.server.wait_for_reload()
    until(lambda: any("is not loaded again: not allowed" in line for line in heals.logged))
    heals.dies("b")
    assert heals.counted("a") == (0, 0)
    state = heals.router.model("m").state("a")
    assert state.not_ready_reason is None
    assert not state.breaker.probe_is_due(heals.router.model("m").now_s())
    assert heals.server.reloads.empty()


def test_a_setting_turns_it_off(tmp_path: Path):
    with healing(tmp_path, load_dead_variants="false") as heals:
        heals.dies("a")
        assert heals.server.reloads.empty()
        assert not any(thread.name == "router-healer" for thread in threading.enumerate())


class TestReloadLock:
    def test_one_router_at_a_time_loads_a_variant_and_others_not_right_after_it(self, tmp_path: Path):
        ours, others = (ReloadLock(tmp_path, tmp_path) for _ in range(2))
        with ours.hold("a") as mine, others.hold("a") as theirs, others.hold("b") as another:
            assert (mine, theirs, another) == (True, False, True)
            ours.loaded("a")
        with others.hold("a") as theirs:
            assert not theirs

    def test_a_load_some_time_ago_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(ReloadLock, "AGAIN_AFTER_S", 0.0)
        lock = ReloadLock(tmp_path, tmp_path)
        for _ in range(2):
            with lock.hold("a") as mine:
                assert mine
                lock.loaded("a")

    def test_one_that_failed_is_none(self, tmp_path: Path):
        lock = ReloadLock(tmp_path, tmp_path)
        for _ in range(2):
            with lock.hold("a") as mine:
                assert mine

    def test_without_a_folder_a_router_decides_alone(self, tmp_path: Path):
        lock = ReloadLock(tmp_path, tmp_path / "missing")
        for _ in range(2):
            with lock.hold("a") as mine:
                assert mine
            lock.loaded("a")
