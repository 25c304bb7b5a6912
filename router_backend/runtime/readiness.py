"""Tracks which variants Triton has loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from router_backend.config.load import RouterSetup
from router_backend.core.dispatch import Attempt
from router_backend.core.model.recorder import NOT_LOADED
from router_backend.core.records.outcome import Fault
from router_backend.core.router import ModelRouter


class Readiness:
    """Learns from calls which variants Triton has loaded, and looks for missing ones at an interval.

    `is_loaded` asks Triton about a variant. All variants are missing at first.
    """

    def __init__(self, model: RouterSetup, router: ModelRouter, is_loaded: Callable[[str], bool]) -> None:
        self._name = model.name
        self._router = router
        self._interval_s = model.parameters.readiness_interval_ms / 1e3
        self._missing = {variant.name for variant in model.usable}
        self._is_loaded = is_loaded
        self._next_look_s = 0.0
        self._lock = threading.Lock()

    def failed(self, attempt: Attempt) -> None:
        """Note that an attempt failed, to look for its variant again if it is not loaded."""
        if attempt.fault is Fault.NOT_READY:
            self._missing.add(attempt.variant)

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
        for variant in sorted(self._missing):
            if self._is_loaded(variant):
                self._missing.discard(variant)
                self._router.model(self._name).set_ready(variant, None)
                found.append(variant)
            else:
                self._router.model(self._name).set_ready(variant, NOT_LOADED)
                self._missing.add(variant)  # another thread may just have found it loaded
        return found
