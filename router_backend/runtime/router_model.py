"""A router model as any host serves it: its setup, its router, and the threads beside the requests."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from router_backend.config.completion import check_completed
from router_backend.config.load import read_router_setup
from router_backend.core.dispatch import Attempt
from router_backend.core.records.outcome import Fault
from router_backend.core.router import ModelRouter
from router_backend.core.telemetry.metrics import Metric
from router_backend.core.variants.capacity import Capacity
from router_backend.errors import DEFECTS, RouterError, utf8_text
from router_backend.runtime.config_watcher import watch_config
from router_backend.runtime.error_classifier import ErrorClassifier
from router_backend.runtime.expected_answer import ExpectedAnswer
from router_backend.runtime.metrics_writer import MetricsWriter, Series
from router_backend.runtime.profile_keeper import ProfileKeeper
from router_backend.runtime.shared_capacity import SharedCapacity, shared_file
from router_backend.runtime.trace_writer import open_trace
from router_backend.runtime.variant_description import describe


class Log(NamedTuple):
    """Triton's log, which takes text that can be encoded."""

    inform: Callable[[str], None]
    warn: Callable[[str], None]
    error: Callable[[str], None]

    @staticmethod
    def to(inform: Callable[[str], None], warn: Callable[[str], None], error: Callable[[str], None]) -> Log:
        """Return a log of any text."""
        return Log(
            lambda text: inform(utf8_text(text)),
            lambda text: warn(utf8_text(text)),
            lambda text: error(utf8_text(text)),
        )

    def defect(self, defect: BaseException) -> RouterError:
        """Log a defect of the router, or of a user's policy, with its place; return the client's error."""
        self.error("".join(traceback.format_exception(defect)))
        return RouterError(f"defect in the router: {defect!r}; Triton's log has the traceback")


class RouterModel:
    """The parts of a router model that do not depend on how requests reach it.

    Args:
        config: its complete configuration, in Triton's JSON form.
        folder: its folder, beside those of its variants.
        host: the name of the host that serves it, for the log.
        log: Triton's log.

    Attributes:
        setup: its validated configuration.
        router: decides.
        errors: classifies the errors of its variants.
        expected_answer: what its variants must answer.
        trace: records requests; `None` if it has no trace file.

    Raises:
        ConfigurationError: the configuration is invalid.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path, host: str, log: Log) -> None:
        self._log = log
        self.setup = read_router_setup(config, folder.parent)
        check_completed(config, self.setup)
        self._shared_capacity = SharedCapacity(shared_file(folder.parent))
        with ExitStack() as undo:
            undo.callback(self._shared_capacity.close)
            self._set_up()
            undo.pop_all()
        log.inform(f"router '{self.setup.name}' is served by the {host} host")

    def _set_up(self) -> None:
        setup, log = self.setup, self._log
        self.router = ModelRouter(
            setup.settings,
            capacity=Capacity(self._shared_capacity),
            copies=bool(setup.parameters.warmup_batch_sizes),
            on_defect=log.defect,
        )
        described = describe(setup.usable, setup.repository, log.warn)
        left_out = [variant for variant in setup.variants if variant.name in setup.left_out]
        self.router.register_model(setup.name, variants=[*described, *left_out])
        for variant, reason in setup.left_out.items():
            self.router.model(setup.name).set_ready(variant, f"left out: {reason}")
            log.warn(
                f"router '{setup.name}': variant '{variant}' is left out: {reason}; once it is "
                f"corrected, unload and load '{setup.name}', too"
            )
        self.router.experiments.configure(setup.routing.experiments)
        self.expected_answer = ExpectedAnswer(setup)
        self._wrong_variants: set[str] = set()
        self.errors = ErrorClassifier.of([variant.name for variant in described], setup.repository)
        self._watcher = watch_config(setup, self.router, log.inform, log.warn)
        self._metrics: MetricsWriter | None = None
        self._profiles: ProfileKeeper | None = None
        self.trace = open_trace(setup, log.warn)

    def start(self, instance_name: str, new_series: Callable[[Metric[Any], tuple[str, ...]], Series]) -> None:
        """Start the threads. Call this last: nothing after it may fail the model's load.

        Args:
            instance_name: the name of Triton's instance, a label of the metrics.
            new_series: creates a metric with the values of its labels.
        """
        gc.freeze()  # later garbage collections, while requests wait, need not scan these objects
        parameters = self.setup.parameters
        if parameters.metrics:
            interval_s = parameters.metrics_interval_ms / 1e3
            self._metrics = MetricsWriter(self.router, instance_name, interval_s, new_series)
            self._metrics.start()
        if self._watcher is not None:
            self._watcher.start()
        if parameters.profile_folder is not None:
            self._restore(parameters.profile_folder, instance_name)

    def _restore(self, folder: Path, instance_name: str) -> None:
        """Start from what was learned before; what is wrong with that is only logged."""
        logical, log = self.router.model(self.setup.name), self._log
        try:
            profiles = ProfileKeeper(folder, self.setup, logical, instance_name, log.inform, log.warn)
            profiles.restore()
            profiles.start()
            self._profiles = profiles
        except DEFECTS as defect:  # the router can learn again
            log.defect(defect)

    def failed(self, attempt: Attempt) -> None:
        """Log the first wrong answer of each variant: clients see no error of it if another one is right."""
        if attempt.fault is Fault.WRONG_ANSWER and attempt.variant not in self._wrong_variants:
            self._wrong_variants.add(attempt.variant)
            self._log.warn(
                f"router '{self.setup.name}': variant '{attempt.variant}' has failed a request by a "
                f"{attempt.message}; clients get the answers of other variants, and further wrong ones are "
                "only counted"
            )

    def stop_watching(self) -> None:
        """Apply no more changes of the configuration, while requests in flight end."""
        if self._watcher is not None:
            self._watcher.close()

    def close(self) -> None:
        """End the threads, after the last request."""
        if self.trace is not None:
            self.trace.close()
        if self._profiles is not None:
            self._profiles.close()
        if self._metrics is not None:
            self._metrics.close()
        self._shared_capacity.close()
