"""A request that the router sends to itself, so that it can call models without a client's request."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import triton_python_backend_utils as pb_utils

from router_backend.config.load import RouterSetup
from router_backend.serving.responses import empty_response, send
from router_backend.serving.tensors import in_numpy, synthetic_inputs

ID_PREFIX = "the router's own request "


class OwnRequest:
    """Does work while a request of the router to itself is in flight.

    A background thread can never call a model safely (Triton 24.10, and still in 2026). Triton ends the
    threads that execute a model's calls before it finalizes the model; a later call is never answered, and
    cleaning it up crashes the whole server. A model with a request in flight is not finalized, so all calls
    are made during requests: those of clients, or this one.

    This request is a call itself. It is sent just after the model was loaded, or during a client's request;
    a model with inputs that the router cannot make waits for the latter.

    Its id ends with a random token of this instance, so that no client can imitate it. Triton may give it to
    another instance of the router, which answers at once; then it is sent again.
    """

    # A call before the server has started the threads that execute it would crash the server, too. It starts
    # them after `initialize` has returned, and only a client's request proves that it has.
    CALLS_ARE_CARRIED_AFTER_S = 2.0
    RETRY_S = 0.5
    ARRIVAL_S = 0.2
    PAUSE_S = 5.0

    def __init__(self, model: RouterSetup, work: Callable[[], None]) -> None:
        self._name = model.name
        self._inputs = synthetic_inputs(model.signature, batch_size=1) if in_numpy(model.signature) else None
        self._work = work
        self._id = ID_PREFIX + secrets.token_hex(16)
        self._arrived = threading.Event()
        self._client_arrived = threading.Event()
        self._outstanding = threading.Lock()
        self._next_s = 0.0
        self._starter = threading.Thread(target=self._send_first, name="router-start", daemon=True)

    def start(self) -> None:
        """Send it as soon as the server accepts requests, unless a client's request arrives first."""
        self._starter.start()

    def client_arrived(self) -> None:
        """Stop sending it at the start: from now on, the work is done during clients' requests."""
        self._client_arrived.set()

    def stop(self) -> None:
        """Stop waiting for the server."""
        self._client_arrived.set()
        self._starter.join()

    def send(self, inputs: Sequence[pb_utils.Tensor]) -> None:
        """Send it, during a client's request with these inputs, and return when the work begins.

        Nothing is sent while an earlier one is worked on. Each holds one of the server's few threads for such
        calls, and its work needs another: several that wait for each other would leave none.
        """
        if self._outstanding.locked() or time.monotonic() < self._next_s:
            return
        self._arrived.clear()
        own = inputs if self._inputs is None else self._inputs
        threading.Thread(target=self._call, args=(own,), name="router-own-request", daemon=True).start()
        if not self._arrived.wait(self.ARRIVAL_S):
            self._next_s = time.monotonic() + self.PAUSE_S  # other instances of the router have taken it

    def take(self, request: pb_utils.InferenceRequest) -> bool:
        """Return whether a request is a router's own; if it is this one's, do the work, then answer it."""
        request_id = request.request_id()
        if not request_id.startswith(ID_PREFIX):
            return False
        sender = request.get_response_sender()
        if request_id != self._id:
            send(sender, empty_response())
            return True
        threading.Thread(target=self._do, args=(sender,), name="router-own-work", daemon=True).start()
        self._arrived.set()
        return True

    def _send_first(self) -> None:
        if self._inputs is None:
            return
        pause_s = self.CALLS_ARE_CARRIED_AFTER_S
        while not self._client_arrived.wait(pause_s) and not self._arrived.is_set():
            self._call(self._inputs)
            pause_s = self.RETRY_S

    def _call(self, inputs: Sequence[pb_utils.Tensor]) -> None:
        """Call the router and return when the work is done, or at once if the server accepts no requests.

        While other instances take the call, it is repeated, as long as the client's request may last.
        """
        if not self._outstanding.acquire(blocking=False):
            return
        until_s = time.monotonic() + self.ARRIVAL_S
        try:
            with suppress(pb_utils.TritonModelException):  # the model is being finalized
                while self._reaches_another(inputs) and time.monotonic() < until_s:
                    pass
        finally:
            self._outstanding.release()

    def _reaches_another(self, inputs: Sequence[pb_utils.Tensor]) -> bool:
        """Call the router; return whether another instance of it has answered."""
        request = pb_utils.InferenceRequest(
            model_name=self._name, inputs=inputs, requested_output_names=[], request_id=self._id
        )
        return not request.exec().has_error() and not self._arrived.is_set()

    def _do(self, sender: pb_utils.InferenceResponseSender) -> None:
        try:
            self._work()
        finally:
            send(sender, empty_response())
