"""Measures each variant when it becomes ready, so that the router need not learn from clients' requests."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
import time

from router_backend.config.load import RouterSetup
from router_backend.core.router import ModelRouter
from router_backend.errors import DEFECTS, RouterError
from router_backend.runtime.warmup_plan import WarmupPlan
from router_backend.serving.measuring import Measuring
from router_backend.serving.responses import triton_log
from router_backend.serving.tensors import synthetic_inputs


class Warmup:
    """Carries out a `WarmupPlan`, one variant after the other."""

    def __init__(self, model: RouterSetup, router: ModelRouter, measuring: Measuring) -> None:
        self._model = model
        self._router = router
        self._measuring = measuring
        self._plan = WarmupPlan(model, router)
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """Whether there are variants to measure."""
        return self._plan.waiting

    def add(self, variant: str) -> None:
        """Queue a variant for the next `run`, if it should be measured."""
        self._plan.add(variant)

    def run(self) -> None:
        """Measure the queued variants."""
        with self._lock:
            while self._plan.waiting:
                self._measure_or_warn(self._plan.take())

    def _measure_or_warn(self, variant: str) -> None:
        try:
            self._measure(variant)
        except RouterError as error:
            triton_log().warn(f"router '{self._model.name}': warm-up of '{variant}' ended: {error}")
        except DEFECTS as defect:  # a policy that cannot score must not end this thread
            triton_log().defect(defect)

    def _measure(self, variant: str) -> None:
        """Send the batches.

        Raises:
            RouterError: the variant cannot take requests now, or failed one.
        """
        for context in self._plan.contexts(variant):
            if not self._becomes_idle(variant):
                return
            inputs = synthetic_inputs(self._model.signature, context.batch_size)
            dispatch = self._router.dispatch(self._model.name, context)
            self._measuring.measure(dispatch, inputs, {})

    def _becomes_idle(self, variant: str) -> bool:
        """Wait for a moment without requests in flight at a variant; return whether there was one."""
        until_s = time.monotonic() + WarmupPlan.IDLE_WITHIN_S
        while not self._plan.is_idle(variant) and time.monotonic() < until_s:
            time.sleep(WarmupPlan.PAUSE_S)
        return self._plan.is_idle(variant)
