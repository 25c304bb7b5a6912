"""Stands in for the C side of the native host."""

import queue
from collections.abc import Sequence
from typing import Any, NamedTuple

from router_backend.native.server import SyntheticInput


class Measured(NamedTuple):
    """A request of the router's own that is at a variant."""

    variant: str
    listener: Any
    attempt: Any
    inputs: Sequence[SyntheticInput]


class CSide:
    """Offers what `host_module.c` does, and keeps what it is asked to send.

    Attributes:
        ready: the models that can take requests; `None` while the server starts.
        logged: lines of Triton's log.
        sent: the requests of the router's own.
        changed: which models were unloaded and loaded.
        load_error: why none can be loaded; empty if they can.
    """

    def __init__(self) -> None:
        self.ready: set[str] | None = {"m", "a", "b"}
        self.asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.logged: list[str] = []
        self.changed: list[str] = []
        self.load_error = ""
        self.sent: queue.SimpleQueue[Measured] = queue.SimpleQueue()

    def log(self, level: int, message: str) -> None:
        self.logged.append(message)

    def is_ready(self, model: str) -> bool | None:
        self.asked.put(model)
        return None if self.ready is None else model in self.ready

    def load_model(self, model: str) -> None:
        self.changed.append(f"load {model}")
        if self.load_error:
            raise RuntimeError(self.load_error)

    def unload_model(self, model: str) -> None:
        self.changed.append(f"unload {model}")

    def metric_family(self, kind: int, name: str, help: str) -> int:  # noqa: A002 - Triton's word
        return 0

    def metric(self, family: int, names: tuple[str, ...], values: tuple[str, ...]) -> int:
        return 0

    def metric_increment(self, metric: int, value: float) -> None:
        pass

    def metric_set(self, metric: int, value: float) -> None:
        pass

    def measure(
        self,
        model: int,
        variant: str,
        listener: object,
        attempt: object,
        overdue_ms: float,
        inputs: Sequence[SyntheticInput],
    ) -> None:
        self.sent.put(Measured(variant, listener, attempt, inputs))
