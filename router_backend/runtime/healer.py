"""Loads variants again whose process has died, where Triton lets models be loaded by request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
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


class Healer:
    """A thread that loads dead variants again, one at a time. Thread-safe.

    The first time at once, then 5 s after the last time, which doubles up to 5 minutes; it starts over once
    a variant has lived for twice as long. While a variant is loaded again, it gets no requests.

    Args:
        setup: the router model's configuration; without `load_dead_variants`, nothing is done.
        router: decides, and counts.
        readiness: which variants are loaded.
        reload: unloads and loads a variant, and returns once it is loaded; raises `CannotReloadError` if
            this server does not allow that, and any other error if the variant does not load.
        log: Triton's log.
    """

    FIRST_PAUSE_S = 5.0
    LONGEST_PAUSE_S = 300.0

    def __init__(
        self,
        setup: RouterSetup,
        router: ModelRouter,
        readiness: Readiness,
        reload: Callable[[str], None],
        log: Log,
    ) -> None:
        self._name = setup.name
        self._enabled = setup.parameters.load_dead_variants
        self._model = router.model(setup.name)
        self._readiness = readiness
        self._reload = reload
        self._log = log
        self._lock = ReloadLock(setup.repository)
        self._due_s: dict[str, float] = {}
        self._last_s: dict[str, float] = {}
        self._pause_s: dict[str, float] = {}
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-healer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        if self._enabled:
            self._readiness.on_failure = self.failed
            self._thread.start()

    def stop(self) -> None:
        """End the thread, after the variant that it loads."""
        if self._enabled:
            self._enabled = False
            self._woken.set()
            self._thread.join()

    def failed(self, variant: str, fault: Fault) -> None:
        """Note that a variant failed: it is loaded again if its process has died since it was loaded last."""
        breaker = self._model.state(variant).breaker
        is_dead = fault is Fault.DEAD and breaker.fault is Fault.DEAD and not breaker.closed
        if is_dead and variant not in self._due_s:
            self._due_s[variant] = self._next_s(variant)
            self._woken.set()

    def _next_s(self, variant: str) -> float:
        """Return when a variant that has died now is to be loaded again."""
        now_s = time.monotonic()
        last_s, pause_s = self._last_s.get(variant, -inf), self._pause_s.get(variant, 0.0)
        if now_s - last_s > 2.0 * pause_s:
            self._pause_s[variant] = self.FIRST_PAUSE_S
            return now_s
        self._pause_s[variant] = min(2.0 * pause_s, self.LONGEST_PAUSE_S)
        return last_s + pause_s

    def _run(self) -> None:
        while self._enabled:
            self._woken.clear()
            now_s = time.monotonic()
            variant, due_s = min(list(self._due_s.items()), key=lambda item: item[1], default=("", inf))
            if due_s <= now_s:
                is_done = self._heal(variant)
                self._due_s.pop(variant)
                if not is_done:
                    self.failed(variant, Fault.DEAD)
            else:
                self._woken.wait(None if due_s == inf else due_s - now_s)

    def _heal(self, variant: str) -> bool:
        """Load a variant again, unless another router does so or just has; return `False` to look again."""
        try:
            with self._lock.hold(variant) as is_mine:
                if not is_mine:
                    self._last_s[variant] = time.monotonic()
                    return False
                is_loaded = self._load(variant)
                if is_loaded:
                    self._lock.loaded(variant)
                return is_loaded
        except CannotReloadError as error:
            self._enabled = False
            self._log.warn(f"router '{self._name}': '{variant}' has died, and is not loaded again: {error}")
            return True

    def _load(self, variant: str) -> bool:
        self._log.warn(f"router '{self._name}': the process of '{variant}' has died; it is loaded again")
        started_s = self._last_s[variant] = time.monotonic()
        try:
            with self._readiness.reloading(variant):
                self._reload(variant)
        except CannotReloadError:
            raise
        except Exception as error:  # noqa: BLE001 - the router serves on
            self._model.count_reload(variant, succeeded=False)
            self._log.error(f"router '{self._name}': '{variant}' could not be loaded again: {error}")
            return False
        self._model.count_reload(variant, succeeded=True)
        took_s = time.monotonic() - started_s
        self._log.inform(f"router '{self._name}': '{variant}' was loaded again in {took_s:.1f} s")
        return True
