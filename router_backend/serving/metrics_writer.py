"""Shows the router's metrics in Triton's own metrics endpoint, away from the requests' path."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
from typing import Any

import triton_python_backend_utils as pb_utils

from router_backend.core.router import ModelRouter
from router_backend.core.telemetry.metrics import METRICS, Kind, Metric, Sample, samples

Labels = tuple[str, ...]


class MetricsWriter:
    """Hands what has changed to Triton at an interval, from one background thread.

    Triton's metric objects are not thread-safe, and each call on one is a round trip to the server: 22 to
    72 us. So one thread makes them and calls them; a request only adds to sums in this process.

    Counters are added to: instances of one router that make the same counter share it, and it stays when
    they are unloaded, so that it goes on from there when they are loaded again. Gauges are set when they
    have changed, and now and then all the same: while a router is loaded again, the old instance and the new
    one share them for a moment, and the old one leaves them at 0.

    Nothing is ever deleted. Where two instances have made the same metric, Triton deletes it with the first
    one's object, and the other's next call corrupts the server's memory (Triton 24.10).

    The calls are safe from when `initialize` is called until `finalize` returns (Triton 24.10); the thread
    has ended by then.

    Args:
        router: whose metrics these are.
        router_instance: the name of this instance, which tells its gauges from another's.
        interval_s: how often they are handed on.
    """

    INTERVALS_UNTIL_ANEW = 10

    def __init__(self, router: ModelRouter, router_instance: str, interval_s: float) -> None:
        self._router = router
        self._router_instance = router_instance
        self._interval_s = interval_s
        self._families: dict[Metric[Any], pb_utils.MetricFamily] = {}
        self._metrics: dict[Metric[Any], dict[Labels, pb_utils.Metric]] = {metric: {} for metric in METRICS}
        self._written: dict[Metric[Any], dict[Labels, float]] = {metric: {} for metric in METRICS}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-metrics", daemon=True)

    def start(self) -> None:
        """Start the thread; nothing that can still fail the model's load may follow."""
        self._thread.start()

    def close(self) -> None:
        """Hand on what is left, and end the thread."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        intervals = 0
        self._write(anew=True)
        while not self._ended.wait(self._interval_s):
            intervals += 1
            self._write(anew=intervals % self.INTERVALS_UNTIL_ANEW == 0)
        self._write(anew=False)
        self._lower_gauges()

    def _write(self, anew: bool) -> None:
        for sample in samples(self._router.get_metrics(), self._router_instance):
            metrics = self._metrics[sample.metric]
            if sample.labels not in metrics:
                metrics[sample.labels] = self._create(sample)
            self._hand_on(sample, metrics[sample.labels], anew)

    def _hand_on(self, sample: Sample, metric: pb_utils.Metric, anew: bool) -> None:
        written = self._written[sample.metric]
        change = sample.value - written.get(sample.labels, 0.0)
        if sample.metric.kind is Kind.COUNTER:
            if change:
                metric.increment(change)
        elif change or anew:
            metric.set(sample.value)
        written[sample.labels] = sample.value

    def _create(self, sample: Sample) -> pb_utils.Metric:
        metric = sample.metric
        if metric not in self._families:
            kinds = {Kind.COUNTER: pb_utils.MetricFamily.COUNTER, Kind.GAUGE: pb_utils.MetricFamily.GAUGE}
            self._families[metric] = pb_utils.MetricFamily(
                name=metric.name, description=metric.help, kind=kinds[metric.kind]
            )
        return self._families[metric].Metric(labels=dict(zip(metric.labels, sample.labels, strict=True)))

    def _lower_gauges(self) -> None:
        for metric, by_labels in self._metrics.items():
            if metric.kind is Kind.GAUGE:
                for gauge in by_labels.values():
                    gauge.set(0.0)
