"""Records requests, in the background, as a trace that the simulator can replay."""

import errno
import json
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from router_backend.config.load import RouterSetup
from router_backend.errors import ConfigurationError
from router_backend.runtime.trace_entry import Traced, entry_of


class TraceWriter:
    """Appends a line of JSON for each request to a file, from one background thread.

    A request only puts a record into a queue. The thread polls the queue at an interval: waking it up for
    each record would cost a request more than the record itself. Requests that arrive while the queue is
    full, or after a write to the file has failed, are left out and counted. If the last line of the file was
    cut, by a full disk or a killed server, the first write starts a new one.

    Args:
        path: the file, created if it does not exist.
        warn: logs what was left out, and why.

    Raises:
        OSError: the file cannot be written.
    """

    INTERVAL_S = 0.2
    MOST_WAITING = 10_000

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        # Unbuffered, all lines of one interval are one write, so that those of other routers that append to
        # the same file cannot end up in the middle of a line.
        self._file: BinaryIO = _open(path)
        self._path = path
        self._starts_with = b"\n" if _is_cut(path) else b""
        self._warn = warn
        # The monotonic clock does not jump; the time of day lets several runs share a file.
        self._epoch_s = time.time() - time.monotonic()
        self._waiting: queue.SimpleQueue[Traced] = queue.SimpleQueue()
        self._broken = False
        self._left_out = 0
        self._left_out_lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-trace", daemon=True)
        self._thread.start()

    def observe(self, traced: Traced) -> None:
        """Queue a request that ended, unless its latency is implausible, without waiting.

        Its `arrived_s` is a time of the monotonic clock.
        """
        if traced.execution is not None and traced.execution.latency_ms is None:
            return
        if self._waiting.qsize() < self.MOST_WAITING:
            self._waiting.put(traced)
        else:
            self._leave_out(1)

    def close(self) -> None:
        """Write the queue, close the file and log how much was left out. Call this last."""
        self._ended.set()
        self._thread.join()
        self._file.close()
        if self._left_out:
            self._warn(f"{self._left_out} requests were left out of the trace {self._path}")

    def _run(self) -> None:
        while not self._ended.wait(self.INTERVAL_S):
            self._write_waiting()
        self._write_waiting()

    def _write_waiting(self) -> None:
        records = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
        if self._broken:
            self._leave_out(len(records))
            return
        text = b"".join(map(self._line, records))
        if text:
            text, self._starts_with = self._starts_with + text, b""
        try:
            while text:
                text = text[self._file.write(text) :]
        except OSError as error:
            self._broken = True  # a further write would continue a line that was cut off
            self._leave_out(text.count(b"\n"))
            self._warn(f"the trace {self._path} can no longer be written: {error.strerror}")

    def _line(self, traced: Traced) -> bytes:
        return json.dumps(entry_of(traced, self._epoch_s)).encode() + b"\n"

    def _leave_out(self, requests: int) -> None:
        with self._left_out_lock:
            self._left_out += requests


def _open(path: Path) -> BinaryIO:
    if path.is_fifo():  # opening it would wait for a reader, and so would closing the trace
        raise OSError(errno.ESPIPE, "a pipe")
    return path.open("ab", buffering=0)


def _is_cut(path: Path) -> bool:
    """Return whether a regular file ends within a line."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def open_trace(model: RouterSetup, warn: Callable[[str], None]) -> TraceWriter | None:
    """Return the trace writer of a router model; `None` if it has no trace file.

    Raises:
        ConfigurationError: its trace file cannot be written.
    """
    path = model.parameters.trace_file
    if path is None:
        return None
    try:
        return TraceWriter(path, warn)
    except OSError as error:
        raise ConfigurationError(
            where=f"model '{model.name}', config.pbtxt",
            path="trace_file",
            expected="a file that can be written",
            found=f"'{path}' ({error.strerror})",
            fix="name another file",
        ) from None
