"""What the C side offers: Triton's functions in this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from router_backend.core.telemetry.metrics import Kind, Metric
from router_backend.runtime.router_model import Log

INFO, WARNING, ERROR = range(3)
COUNTER, GAUGE = range(2)
SyntheticInput = tuple[str, str, tuple[int, ...], int]
"""Name, data type, shape, and bytes of an input that consists of zeros."""


class Server(Protocol):
    """The module that `host_module.c` creates. Its pointers are only for handing back."""

    def log(self, level: int, message: str) -> None:
        """Write a line to Triton's log."""

    def is_ready(self, model: str) -> bool | None:
        """Return whether a model can take requests; `None` while the server starts or ends."""

    def load_model(self, model: str) -> None:
        """Load a model, and return once it is loaded.

        Raises:
            RuntimeError: the server does not allow it, or the model does not load.
        """

    def unload_model(self, model: str) -> None:
        """Begin to unload a model.

        Raises:
            RuntimeError: the server does not allow it.
        """

    def metric_family(self, kind: int, name: str, help: str) -> int:  # noqa: A002 - Triton's word
        """Return a pointer to a new family of metrics."""

    def metric(self, family: int, names: tuple[str, ...], values: tuple[str, ...]) -> int:
        """Return a pointer to a metric with the values of its labels."""

    def metric_increment(self, metric: int, value: float) -> None:
        """Add to a counter."""

    def metric_set(self, metric: int, value: float) -> None:
        """Set a gauge."""

    def measure(
        self,
        model: int,
        variant: str,
        listener: object,
        attempt: object,
        overdue_ms: float,
        inputs: Sequence[SyntheticInput],
    ) -> None:
        """Send a request of the router's own, whose end is reported to `listener`."""


def log_of(server: Server) -> Log:
    """Return Triton's log."""
    return Log.to(partial(server.log, INFO), partial(server.log, WARNING), partial(server.log, ERROR))


class NativeSeries:
    """A metric with its labels, in Triton."""

    def __init__(self, server: Server, pointer: int) -> None:
        self._server = server
        self._pointer = pointer

    def increment(self, value: float) -> None:
        """Add to a counter."""
        self._server.metric_increment(self._pointer, value)

    def set(self, value: float) -> None:
        """Set a gauge."""
        self._server.metric_set(self._pointer, value)


class NativeMetrics:
    """The metrics of all router models of the process.

    They are kept while no model uses them: Triton forgets a counter's value when it is deleted.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._families: dict[Metric[Any], int] = {}
        self._series: dict[tuple[Metric[Any], tuple[str, ...]], NativeSeries] = {}

    def series(self, metric: Metric[Any], labels: tuple[str, ...]) -> NativeSeries:
        """Return the metric with the values of its labels."""
        key = (metric, labels)
        if key not in self._series:
            pointer = self._server.metric(self._family(metric), metric.labels, labels)
            self._series[key] = NativeSeries(self._server, pointer)
        return self._series[key]

    def _family(self, metric: Metric[Any]) -> int:
        if metric not in self._families:
            kind = COUNTER if metric.kind is Kind.COUNTER else GAUGE
            self._families[metric] = self._server.metric_family(kind, metric.name, metric.help)
        return self._families[metric]
