"""Loads variants again whose process has died, where Triton lets models be loaded by request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

from router_backend.config.load import RouterSetup
from router_backend.core.records.outcome import Fault
from router_backend.core.router import ModelRouter
from router_backend.errors import RouterError
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.reload_lock import ReloadLock
from router_backend.runtime.router_model import Log


class CannotReloadError(RouterError):
    """Models cannot be loaded by request on this server, for the reason that is the text."""


class UnloadedError(RouterError):
    """A variant that has died is not loaded: somebody has unloaded it, who may want it so."""


class ReloadFailedError(RouterError):
    """A variant could not be loaded again, for the reason that is the text."""


class NotReachedError(ReloadFailedError):
    """The server did not answer, so nothing has changed: the variant is as it was."""


class Healer:
    """Loads dead variants again, each in a thread of its own, since a load may hang. Thread-safe.

    The first time at once, then 5 s after the last time, which doubles up to 5 minutes; it starts over once
    a variant has lived for twice as long. While a variant is loaded again, it gets no requests. One that
    somebody else has loaded or unloaded since it died is left alone.

    Args:
        setup: the router model's configuration; without `load_dead_variants`, nothing is done.
        router: decides, and counts.
        readiness: which variants are loaded.
        reload: loads a variant, and returns once it is loaded; if the flag is set, it unloads it before.
            Raises `CannotReloadError` if this server does not allow that, `UnloadedError` if the variant
            that it is to unload is not loaded, and `ReloadFailedError` if it does not load now.
        log: Triton's log.
    """

    FIRST_PAUSE_S = 5.0
    LONGEST_PAUSE_S = 300.0
    LATE_S = 60.0
    """After how long a load is reported: Triton waits for ever for a process that dies while it starts."""
    STOP_WITHIN_S = 10.0

    def __init__(
        self,
        setup: RouterSetup,
        router: ModelRouter,
        readiness: Readiness,
        reload: Callable[[str, bool], None],
        log: Log,
    ) -> None:
        self._name = setup.name
        self._enabled = setup.parameters.load_dead_variants
        self._model = router.model(setup.name)
        self._readiness = readiness
        self._reload = reload
        self._log = log
        self._lock = ReloadLock(setup.repository)
        self._tried_s: dict[str, float] = {}
        self._pause_s: dict[str, float] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._guard = threading.Lock()
        self._ended = threading.Event()

    def start(self) -> None:
        """Load variants again from now on."""
        if self._enabled:
            self._readiness.on_failure = self.failed

    def stop(self) -> None:
        """End the threads, after the variants that they load; those whose load hangs stay behind."""
        with self._guard:
            self._ended.set()
            threads = list(self._threads.values())
        until_s = time.monotonic() + self.STOP_WITHIN_S
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def failed(self, variant: str, fault: Fault) -> None:
        """Note that a variant failed: it is loaded again if its process has died since it was loaded last."""
        breaker = self._model.state(variant).breaker
        if fault is not Fault.DEAD or breaker.fault is not Fault.DEAD or breaker.closed:
            return
        with self._guard:
            if variant not in self._threads and not self._ended.is_set():
                arguments = (variant, self._model.now_s())
                thread = threading.Thread(target=self._run, args=arguments, name="router-healer", daemon=True)
                self._threads[variant] = thread
                thread.start()

    def _run(self, variant: str, died_s: float) -> None:
        try:
            self._heal(variant, died_s)
        except UnloadedError:
            self._log.inform(f"router '{self._name}': '{variant}' was unloaded after its death, and stays so")
        except CannotReloadError as error:
            self._give_up(variant, error)
        finally:
            with self._guard:
                del self._threads[variant]

    def _heal(self, variant: str, died_s: float) -> None:
        """Load a variant until it is loaded; another router that has it may do so instead."""
        unloads = True
        while self._is_to_be_loaded(variant, died_s):
            with self._lock.hold(variant) as is_mine:
                if not is_mine:
                    self._tried_s[variant] = time.monotonic()
                    continue
                try:
                    self._load(variant, unloads)
                except NotReachedError:
                    continue
                except ReloadFailedError:
                    unloads = False
                else:
                    self._lock.loaded(variant)
                    return

    def _is_to_be_loaded(self, variant: str, died_s: float) -> bool:
        """Wait until it is time to load a variant, and return whether it still has to be."""
        if self._ended.wait(self._next_s(variant) - time.monotonic()):
            return False
        state = self._model.state(variant)
        return not state.breaker.closed and state.loaded_s <= died_s

    def _next_s(self, variant: str) -> float:
        """Return when a variant that is dead now is to be loaded."""
        now_s = time.monotonic()
        tried_s, pause_s = self._tried_s.get(variant, -inf), self._pause_s.get(variant, 0.0)
        if now_s - tried_s > 2.0 * pause_s:
            self._pause_s[variant] = self.FIRST_PAUSE_S
            return now_s
        self._pause_s[variant] = min(2.0 * pause_s, self.LONGEST_PAUSE_S)
        return tried_s + pause_s

    def _give_up(self, variant: str, error: CannotReloadError) -> None:
        with self._guard:
            is_known = self._ended.is_set()
            self._ended.set()
        if not is_known:
            self._log.warn(f"router '{self._name}': '{variant}' has died, and is not loaded again: {error}")

    def _load(self, variant: str, unloads: bool) -> None:
        """Load a variant, count it, and say so in the log.

        Raises:
            ReloadFailedError: it does not load now.
        """
        self._log.warn(f"router '{self._name}': the process of '{variant}' has died; it is loaded again")
        started_s = time.monotonic()
        try:
            with self._readiness.reloading(variant), self._reported_if_late(variant):
                self._reload(variant, unloads)
        except ReloadFailedError as error:
            self._model.count_reload(variant, succeeded=False)
            self._log.error(f"router '{self._name}': '{variant}' could not be loaded again: {error}")
            raise
        finally:
            self._tried_s[variant] = time.monotonic()
        self._model.count_reload(variant, succeeded=True)
        took_s = time.monotonic() - started_s
        self._log.inform(f"router '{self._name}': '{variant}' was loaded again in {took_s:.1f} s")

    @contextmanager
    def _reported_if_late(self, variant: str) -> Iterator[None]:
        """Log it if what happens meanwhile, a variant's load, takes so long that it may never end."""
        timer = threading.Timer(
            self.LATE_S,
            self._log.error,
            [
                f"router '{self._name}': '{variant}' has been loading for {self.LATE_S:.0f} s; if its "
                "process died while it started, Triton never stops waiting: correct it and restart the server"
            ],
        )
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
