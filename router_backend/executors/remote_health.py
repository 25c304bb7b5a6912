"""Whether the model on the other server is there, and the one that is meant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router_backend.errors import DEFECTS
from router_backend.executors.remote_server import RemoteError, RemoteModel

NOT_LOADED = "the model is not loaded there"


class RemoteHealth:
    """Asks the other server at an interval whether its model is ready. Thread-safe.

    Calls to a server that is away would each wait until a connection fails, so none are made meanwhile.

    Args:
        remote: the model on the other server.
        mismatch: returns what is wrong with the model's metadata; empty if nothing.
        interval_s: how often to ask.
        on_change: called when the model goes away, when it is back, and when there is another reason.

    Attributes:
        away: why it cannot be called now; empty if it can.
    """

    def __init__(
        self,
        remote: RemoteModel,
        mismatch: Callable[[Mapping[str, Any]], str],
        interval_s: float,
        on_change: Callable[[], None],
    ) -> None:
        self.away = ""
        self._remote = remote
        self._mismatch = mismatch
        self._interval_s = interval_s
        self._on_change = on_change
        self._woken = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="remote-health", daemon=True)

    def start(self) -> None:
        """Ask once, and then in a thread."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._woken.set()
        self._thread.join()

    def look_now(self) -> None:
        """Ask at once, since a call has failed."""
        self._woken.set()

    def look(self) -> None:
        """Ask, and note the answer.

        A change is reported; while it is away, only if the server itself says it: errors of connections vary.
        """
        try:
            away, answers = self._reason(), True
        except RemoteError as error:
            away, answers = str(error), False
        before, self.away = self.away, away
        if bool(away) != bool(before) or (answers and away != before):
            self._on_change()

    def _run(self) -> None:
        while not self._ended:
            self._woken.wait(self._interval_s)
            self._woken.clear()
            self.look()

    def _reason(self) -> str:
        """Return why the server's model cannot be called; the model may be another one each time.

        Raises:
            RemoteError: the server does not answer.
        """
        if not self._remote.is_ready():
            return NOT_LOADED
        metadata = self._remote.metadata()
        try:
            return self._mismatch(metadata)
        except DEFECTS as error:
            return f"its metadata cannot be read ({type(error).__name__}: {error})"


def mismatch(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Return the first difference between a variant's tensors and those of the model on the other server.

    Args:
        config: the configuration of the variant, in Triton's JSON form.
        metadata: what the other server says; one that lists no tensors is believed.
    """
    batched = int(config["max_batch_size"]) > 0
    for kind, theirs in (("input", metadata.get("inputs")), ("output", metadata.get("outputs"))):
        found = {each["name"]: each for each in theirs or ()}
        for tensor in config[kind] if found else ():
            if reason := _difference(kind, tensor, found.get(tensor["name"]), batched):
                return reason
    return ""


def _difference(kind: str, tensor: Mapping[str, Any], found: Mapping[str, Any] | None, batched: bool) -> str:
    where = f"config.pbtxt, {kind} '{tensor['name']}'"
    if found is None:
        return f"{where}: expected a tensor of the model there, found none of that name: correct the name"
    kept = {"TYPE_STRING": "BYTES"}
    data_type = kept.get(tensor["data_type"], tensor["data_type"].removeprefix("TYPE_"))
    if data_type != found["datatype"]:
        return f"{where}: expected {found['datatype']}, as the model there, found {data_type}: write the same"
    dims = [*([-1] if batched else []), *map(int, tensor["dims"])]
    theirs = list(map(int, found["shape"]))
    if not _fit(dims, theirs):
        return f"{where}: expected the shape {theirs} of the model there, found {dims}: write the same dims"
    return ""


def _fit(dims: Sequence[int], theirs: Sequence[int]) -> bool:
    """Return whether tensors of one shape may have the other; -1 is any size."""
    return len(dims) == len(theirs) and all(
        -1 in (mine, other) or mine == other for mine, other in zip(dims, theirs, strict=True)
    )
