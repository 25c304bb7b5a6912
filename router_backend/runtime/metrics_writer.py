"""Exports the router's metrics, in the background, to Triton's metrics endpoint."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from router_backend.core.router import ModelRouter
from router_backend.core.telemetry.metrics import METRICS, Kind, Metric, Sample, samples

Labels = tuple[str, ...]


class Series(Protocol):
    """A metric with its labels, in Triton."""

    def increment(self, value: float) -> None:
        """Add to a counter."""

    def set(self, value: float) -> None:
        """Set a gauge."""


class MetricsWriter:
    """Passes what has changed to Triton at an interval, from one background thread.

    In the Python backend, Triton's metric objects are not thread-safe, and each call on one is a round trip
    to the server of 22 to 72 µs. So one thread creates and calls them; a request only adds to sums in this
    process.

    Counters are incremented: instances of one router that create the same counter share it, and it keeps
    its value while they are unloaded. Gauges are set when they have changed, and at every tenth interval:
    during a reload, the old and the new instance share them for a moment, and the old one leaves them at 0.

    Nothing is ever deleted. If two instances have created the same metric, Triton deletes it with the first
    one's object, and the other's next call corrupts the server's memory (Triton 24.10).

    The calls are safe from when `initialize` is called until `finalize` returns (Triton 24.10); the thread
    has ended by then.

    Args:
        router: its metrics are passed on.
        router_instance: the name of this instance, which distinguishes its gauges from another's.
        interval_s: the interval in seconds.
        new_series: creates a metric with the values of its labels.
    """

    INTERVALS_PER_REFRESH = 10

    def __init__(
        self,
        router: ModelRouter,
        router_instance: str,
        interval_s: float,
        new_series: Callable[[Metric[Any], Labels], Series],
    ) -> None:
        self._router = router
        self._router_instance = router_instance
        self._interval_s = interval_s
        self._new_series = new_series
        self._metrics: dict[Metric[Any], dict[Labels, Series]] = {metric: {} for metric in METRICS}
        self._written: dict[Metric[Any], dict[Labels, float]] = {metric: {} for metric in METRICS}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-metrics", daemon=True)

    def start(self) -> None:
        """Start the thread. Call this last: nothing after it may fail the model's load."""
        self._thread.start()

    def close(self) -> None:
        """Pass on the last changes, and end the thread."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        intervals = 0
        self._write(refresh=True)
        while not self._ended.wait(self._interval_s):
            intervals += 1
            self._write(refresh=intervals % self.INTERVALS_PER_REFRESH == 0)
        self._write(refresh=False)
        self._zero_gauges()

    def _write(self, refresh: bool) -> None:
        for sample in samples(self._router.get_metrics(), self._router_instance):
            metrics = self._metrics[sample.metric]
            if sample.labels not in metrics:
                metrics[sample.labels] = self._new_series(sample.metric, sample.labels)
            self._pass_on(sample, metrics[sample.labels], refresh)

    def _pass_on(self, sample: Sample, metric: Series, refresh: bool) -> None:
        written = self._written[sample.metric]
        change = sample.value - written.get(sample.labels, 0.0)
        if sample.metric.kind is Kind.COUNTER:
            if change:
                metric.increment(change)
        elif change or refresh:
            metric.set(sample.value)
        written[sample.labels] = sample.value

    def _zero_gauges(self) -> None:
        for metric, by_labels in self._metrics.items():
            if metric.kind is Kind.GAUGE:
                for gauge in by_labels.values():
                    gauge.set(0.0)
