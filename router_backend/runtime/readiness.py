"""Tracks which variants Triton has loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from router_backend.config.load import RouterSetup
from router_backend.core.model.recorder import NOT_LOADED
from router_backend.core.records.outcome import Fault
from router_backend.core.router import ModelRouter

RELOADING = "not ready: its process has ended, and it is loaded again"
LOOKED_FOR = (Fault.NOT_READY, Fault.DEAD, Fault.OVERDUE)
"""A variant that is dead or hangs is well again once it is loaded again, which only looking shows."""


class Readiness:
    """Learns from calls which variants Triton has loaded, and looks for missing ones at an interval.

    `is_loaded` asks Triton about a variant. All variants are missing at first. One that is dead or does not
    answer counts as missing until its breaker closes, since it may be loaded again at any time.

    Attributes:
        on_failure: called with such a variant and its fault.
    """

    def __init__(self, model: RouterSetup, router: ModelRouter, is_loaded: Callable[[str], bool]) -> None:
        self._name = model.name
        self._router = router
        self._interval_s = model.parameters.readiness_interval_ms / 1e3
        self._missing = {variant.name for variant in model.usable}
        self._is_loaded = is_loaded
        self._reloading: set[str] = set()
        self.on_failure: Callable[[str, Fault], None] | None = None
        self._next_look_s = 0.0
        self._lock = threading.Lock()

    @property
    def has_loaded(self) -> bool:
        """Whether a variant is loaded, as far as is known."""
        states = self._router.model(self._name).states.values()
        return any(state.not_ready_reason is None for state in states)

    def is_ready(self) -> bool:
        """Return whether a variant is loaded, as far as is known.

        Variants that are not loaded can only be called during requests, so after an interval without any it
        is not known, and the router has to be sent some to find out.
        """
        return self.has_loaded or time.monotonic() >= self._next_look_s

    def failed(self, variant: str, fault: Fault) -> None:
        """Note that a variant failed, to look for it again if it is not loaded, or may be loaded again."""
        if fault in LOOKED_FOR:
            self._missing.add(variant)
            if self.on_failure is not None:
                self.on_failure(variant, fault)

    @contextmanager
    def reloading(self, variant: str) -> Iterator[None]:
        """Keep requests from a variant while it is loaded again; after an error, it is as it was."""
        model = self._router.model(self._name)
        model.set_ready(variant, RELOADING)
        self._reloading.add(variant)
        is_loaded = False
        try:
            yield
            is_loaded = True
        finally:
            if is_loaded:
                model.set_ready(variant, None)
            else:
                model.take_back(variant)
            self._reloading.discard(variant)
            self._missing.add(variant)

    def due(self) -> bool:
        """Return whether it is time to look for missing variants, at most once per interval."""
        if not self._missing:
            return False
        now_s = time.monotonic()
        with self._lock:
            if now_s < self._next_look_s:
                return False
            self._next_look_s = now_s + self._interval_s
            return True

    def look(self) -> list[str]:
        """Look for the missing variants and return the names of those that are loaded now."""
        found = []
        model = self._router.model(self._name)
        for variant in sorted(self._missing - self._reloading):
            state = model.state(variant)
            if not self._is_loaded(variant):
                model.set_ready(variant, NOT_LOADED)
                self._missing.add(variant)  # another thread may just have found it loaded
            elif state.breaker.closed or state.not_ready_reason is not None:
                self._missing.discard(variant)
                model.set_ready(variant, None)
                found.append(variant)
        return found
