"""A request that the router sends to itself, so that it can call models of its own accord."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import threading
from collections.abc import Callable
from contextlib import suppress

import triton_python_backend_utils as pb_utils

from router_backend.config.load import RouterSetup
from router_backend.serving.responses import empty_response, send
from router_backend.serving.tensors import synthetic_inputs

REQUEST_ID = "the router's own request"


class OwnRequest:
    """Does work while a request of the router to itself is in flight.

    A background thread has no safe moment for a call (Triton 24.10, and still in 2026). Before a model is
    finalized, the threads that carry its calls are ended; a call after that is never answered, and what is
    left of it ends the whole server when it is cleared away. A model with a request in flight is not
    finalized, so all calls are made inside of requests: those of clients, or this one.

    This request is a call itself. It is sent when the model has just been loaded, or inside of a client's.

    Args:
        model: the router model.
        work: what is done.
    """

    # A call before the server has made the threads that carry it would end the server, too. It makes them
    # when `initialize` has returned; nothing tells that it has, but a client's request.
    CALLS_ARE_CARRIED_AFTER_S = 2.0
    RETRY_S = 0.5
    ARRIVAL_S = 0.2

    def __init__(self, model: RouterSetup, work: Callable[[], None]) -> None:
        self._name = model.name
        self._inputs = synthetic_inputs(model.signature, batch_size=1)
        self._work = work
        self._arrived = threading.Event()
        self._client_came = threading.Event()
        self._starter = threading.Thread(target=self._send_first, name="router-start", daemon=True)

    def start(self) -> None:
        """Send it as soon as the server takes requests, unless a client's request comes first."""
        self._starter.start()

    def client_came(self) -> None:
        """A client's request has come: from now on, what there is to do is done inside of those."""
        self._client_came.set()

    def stop(self) -> None:
        """No longer wait for the server."""
        self._client_came.set()
        self._starter.join()

    def send(self) -> None:
        """Send it; to be called inside of a client's request. Returns when the work begins."""
        self._arrived.clear()
        threading.Thread(target=self._call, name="router-own-request", daemon=True).start()
        self._arrived.wait(self.ARRIVAL_S)

    def take(self, request: pb_utils.InferenceRequest) -> bool:
        """Whether a request is the router's own; if so, it is answered when the work is done."""
        if request.request_id() != REQUEST_ID:
            return False
        sender = request.get_response_sender()
        threading.Thread(target=self._do, args=(sender,), name="router-own-work", daemon=True).start()
        self._arrived.set()
        return True

    def _send_first(self) -> None:
        pause_s = self.CALLS_ARE_CARRIED_AFTER_S
        while not self._client_came.wait(pause_s) and not self._arrived.is_set():
            self._call()
            pause_s = self.RETRY_S

    def _call(self) -> None:
        """Returns when the work is done, or at once where the server takes no requests."""
        request = pb_utils.InferenceRequest(
            model_name=self._name, inputs=self._inputs, requested_output_names=[], request_id=REQUEST_ID
        )
        with suppress(pb_utils.TritonModelException):  # the model is being finalized
            request.exec()

    def _do(self, sender: pb_utils.InferenceResponseSender) -> None:
        try:
            self._work()
        finally:
            send(sender, empty_response())
