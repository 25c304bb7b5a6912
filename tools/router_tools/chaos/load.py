"""Constant mixed load on the router, and what its clients saw."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from router_tools.chaos.stage import LARGEST_BATCH, ROUTER, batch

ANSWER_WITHIN_S = 60.0


class Seen(NamedTuple):
    """What a client saw of one request.

    Args:
        sent_s: when it was sent, by the monotonic clock.
        latency_ms: how long its answer took.
        error: the error that it got; empty if it was answered.
    """

    sent_s: float
    latency_ms: float
    error: str


class Load:
    """Clients that each send a request at a constant interval, or as soon as the last one is answered.

    Batches of 1 to 8 items; one request in four has a deadline that any variant can meet.

    Args:
        url: the gRPC endpoint.
        clients: how many there are.
        interval_s: how often each of them sends.
    """

    DEADLINE_MS = 5000

    def __init__(self, url: str, clients: int = 8, interval_s: float = 0.1) -> None:
        self._url = url
        self._interval_s = interval_s
        self._ended = threading.Event()
        self.seen: list[Seen] = []
        self._sent_s: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(clients)
        ]

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Send requests inside the `with` block."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()

    def between(self, start_s: float, end_s: float) -> list[Seen]:
        """Return what was seen of the requests that ended in this time."""
        return [each for each in list(self.seen) if start_s <= each.sent_s + each.latency_ms / 1e3 < end_s]

    def unanswered(self, within_s: float) -> int:
        """Return how many requests have waited for longer than this."""
        before_s = time.monotonic() - within_s
        return sum(sent_s < before_s for sent_s in list(self._sent_s.values()))

    def _run(self, number: int) -> None:
        rng = random.Random(number)
        client = grpcclient.InferenceServerClient(self._url)
        next_s = time.monotonic() + self._interval_s * rng.random()
        while not self._ended.wait(max(0.0, next_s - time.monotonic())):
            sent_s = self._sent_s[number] = time.monotonic()
            error = self._ask(client, rng)
            del self._sent_s[number]
            self.seen.append(Seen(sent_s, (time.monotonic() - sent_s) * 1e3, error))
            next_s = max(next_s + self._interval_s, time.monotonic())
        client.close()

    def _ask(self, client: grpcclient.InferenceServerClient, rng: random.Random) -> str:
        value, size = rng.randrange(1000), rng.randint(1, LARGEST_BATCH)
        parameters = {"router_max_latency_ms": self.DEADLINE_MS} if rng.random() < 0.25 else {}
        try:
            answer = client.infer(
                ROUTER, batch(value, size), parameters=parameters, client_timeout=ANSWER_WITHIN_S
            )
        except InferenceServerException as error:
            return str(error.message())
        values = answer.as_numpy("OUTPUT")
        if values is None or values.shape[0] != size or not np.all(values == 2 * value):
            return "a wrong answer"
        return ""
