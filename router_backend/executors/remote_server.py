"""One model of another server that speaks KServe's protocol, version 2, by gRPC or by HTTP."""

from __future__ import annotations

import ssl
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt
from msgspec import UNSET, UnsetType
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from router_backend.errors import DEFECTS, ConfigurationError, RouterError
from router_backend.executors.remote_settings import RemoteParameters, RemoteSettings
from router_backend.runtime.overdue_watch import OverdueWatch

Arrays = Mapping[str, npt.NDArray[Any]]

LOOK_WITHIN_S = 2.0
BINARY_TENSORS = "binary_tensor_data"
"""An extension of KServe's protocol for HTTP, which MLServer lacks."""
HTTP_THREADS = 16
"""How many calls by HTTP may be made at a time; by gRPC there is no limit."""
CHANNEL_ARGUMENTS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),  # two minutes by default: a server that is back is used at once
    ("grpc.lb_policy_name", "round_robin"),  # over the addresses of the target
    ("grpc.use_local_subchannel_pool", 1),  # else, clients of one address share their connection
)
KEPT_CONNECTIONS = 8
"""How many connections to a silent server are kept, as calls on them may still end: the last 16 s of them."""
STATUS_OF_HTTP = {"400": "INVALID_ARGUMENT", "501": "UNIMPLEMENTED", "500": "INTERNAL"}
KEPT = frozenset({"INVALID_ARGUMENT", "UNIMPLEMENTED", "INTERNAL"})
"""Statuses that the client gets as they are."""
AWAY = "UNAVAILABLE"
"""What stands for every other status: this server cannot answer now."""


class RemoteError(RouterError):
    """A call failed.

    Attributes:
        status: the gRPC status: one of `KEPT`, or `AWAY`.
    """

    def __init__(self, text: str, status: str = AWAY) -> None:
        super().__init__(text)
        self.status = status if status in KEPT else AWAY


class Call(NamedTuple):
    """What one request asks of the other server.

    Args:
        inputs: the arrays of its inputs, by name.
        outputs: the names of the outputs that it wants.
        timeout_s: how long it may take.
        options: further arguments of tritonclient's `infer`, such as `request_id` and `parameters`.
    """

    inputs: Arrays
    outputs: Collection[str]
    timeout_s: float
    options: Mapping[str, Any]


Done = Callable[[Arrays | RemoteError], None]


class Settled:
    """Tells `done` once how a call by HTTP ended, at its timeout at the latest.

    Attributes:
        due_s: when its time is up, by the monotonic clock.
        is_open: whether its end was not reported yet.
    """

    def __init__(self, done: Done, timeout_s: float, late: RemoteError) -> None:
        self.due_s = time.monotonic() + timeout_s
        self.is_open = True
        self._done = done
        self._late = late
        self._lock = threading.Lock()

    def passed(self) -> None:
        """Its time is up."""
        self.end(self._late)

    def end(self, answer: Arrays | RemoteError) -> None:
        """Report how it ended, unless that was reported before."""
        with self._lock:
            is_first, self.is_open = self.is_open, False
        if is_first:
            self._done(answer)


class RemoteModel(Protocol):
    """A model of another server."""

    def send(self, call: Call, done: Done) -> None:
        """Make a call, and tell `done` from another thread how it ended; must not block."""

    def is_ready(self) -> bool:
        """Return whether the model is loaded there.

        Raises:
            RemoteError: the server does not answer.
        """

    def metadata(self) -> Mapping[str, Any]:
        """Return the model's metadata, as KServe's protocol has it.

        Raises:
            RemoteError: the server does not answer.
        """

    def close(self) -> None:
        """Close the connections, after the last call has ended."""


def open_model(settings: RemoteSettings) -> RemoteModel:
    """Return a model of another server, which need not be there yet.

    Raises:
        ConfigurationError: a file for TLS is not usable, or a package is missing.
    """
    kind = GrpcModel if settings.parameters.protocol == "grpc" else HttpModel
    try:
        return kind(settings)
    except ImportError as error:
        extra = f"tritonclient[{settings.parameters.protocol}]"
        expected = f"'{extra}' in the Python environment of the server"
        fix = f"pip install '{extra}'"
        raise ConfigurationError(expected=expected, found=str(error), fix=fix) from None
    except (OSError, ValueError) as error:  # ssl.SSLError is one
        expected = "certificates and a key in PEM format that belong together"
        raise ConfigurationError(path="tls", expected=expected, found=f"an error: {error}") from None


class GrpcModel:
    """A model that is called by gRPC."""

    def __init__(self, settings: RemoteSettings) -> None:
        import tritonclient.grpc  # for this protocol only

        self._library = tritonclient.grpc
        self._said = settings.parameters
        self._url = settings.parameters.url
        _check_tls(settings.parameters)
        self._clients: deque[Any] = deque([self._connected()], maxlen=KEPT_CONNECTIONS)
        self._named = {"model_name": settings.model, "model_version": self._said.model_version}
        self._headers = dict(settings.headers)

    def send(self, call: Call, done: Done) -> None:
        """Make a call, and tell `done` from another thread how it ended."""

        def settle(result: Any, error: InferenceServerException | None) -> None:
            done(self._error(error) if error is not None else _arrays(self._url, result, call.outputs))

        try:
            self._clients[-1].async_infer(
                **self._named,
                **_tensors(self._library, call),
                **call.options,
                callback=settle,
                client_timeout=call.timeout_s,
                headers=self._headers,
            )
        except RemoteError as error:
            done(error)
        except InferenceServerException as error:
            done(self._error(error))

    def is_ready(self) -> bool:
        """Return whether the model is loaded there."""
        return bool(self._ask("is_model_ready"))

    def metadata(self) -> Mapping[str, Any]:
        """Return the model's metadata."""
        metadata: Mapping[str, Any] = self._ask("get_model_metadata", as_json=True)
        return metadata

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()

    def _connected(self) -> Any:
        said = self._said
        return self._library.InferenceServerClient(
            said.url,
            ssl=said.tls,
            root_certificates=_path(said.tls_ca_file),
            private_key=_path(said.tls_key_file),
            certificate_chain=_path(said.tls_certificate_file),
            channel_args=list(CHANNEL_ARGUMENTS),
        )

    def _ask(self, method: str, **options: Any) -> Any:
        """Ask the server; one that is silent is asked by another connection the next time.

        A connection may have died without a word, and gRPC would use it for many minutes. Calls that are in
        flight on the old ones may still end.
        """
        ask = getattr(self._clients[-1], method)
        try:
            return ask(**self._named, **options, headers=self._headers, client_timeout=LOOK_WITHIN_S)
        except InferenceServerException as error:
            failure = self._error(error)
            if str(error.status()).endswith("DEADLINE_EXCEEDED"):
                self._clients.append(self._connected())
            raise failure from None

    def _error(self, error: InferenceServerException) -> RemoteError:
        status = str(error.status()).rpartition(".")[2]
        return _error(self._url, error.message(), status)


class HttpModel:
    """A model that is called by HTTP, by several threads with a connection each."""

    def __init__(self, settings: RemoteSettings) -> None:
        import tritonclient.http  # for this protocol only

        self._library = tritonclient.http
        self._said = settings.parameters
        self._context = _check_tls(settings.parameters)
        self._named = {"model_name": settings.model, "model_version": settings.parameters.model_version}
        self._headers = dict(settings.headers)
        self._threads = ThreadPoolExecutor(HTTP_THREADS, "remote-http")
        self._own = threading.local()
        self._binary = True
        self._watch = OverdueWatch(on_defect=traceback.print_exception)  # into the server's log
        self._watch.start()

    def send(self, call: Call, done: Done) -> None:
        """Make a call, and tell `done` from another thread how it ended."""
        late = RemoteError(f"{self._said.url}: no answer within {call.timeout_s * 1e3:.0f} ms")
        settled = Settled(done, call.timeout_s, late)
        self._watch.add(settled)
        self._threads.submit(self._call, call, settled)

    def is_ready(self) -> bool:
        """Return whether the model is loaded there."""
        return bool(self._ask(LOOK_WITHIN_S, "is_model_ready", **self._named))

    def metadata(self) -> Mapping[str, Any]:
        """Return the model's metadata, and note whether the server takes tensors other than as JSON."""
        server = self._ask(LOOK_WITHIN_S, "get_server_metadata")
        self._binary = BINARY_TENSORS in server.get("extensions", ())
        metadata: Mapping[str, Any] = self._ask(LOOK_WITHIN_S, "get_model_metadata", **self._named)
        return metadata

    def close(self) -> None:
        """Close the connections."""
        self._watch.stop()
        self._threads.shutdown(wait=False)

    def _call(self, call: Call, settled: Settled) -> None:
        if not settled.is_open:  # its time was up before a thread was free
            return
        try:
            tensors = _tensors(self._library, call, binary_data=self._binary)
            within_s = self._said.answer_within_ms / 1e3
            result = self._ask(within_s, "infer", **self._named, **tensors, **call.options)
        except RemoteError as error:
            settled.end(error)
        else:
            settled.end(_arrays(self._said.url, result, call.outputs))
        self._watch.remove(settled)

    def _ask(self, within_s: float, method: str, **options: Any) -> Any:
        try:
            return getattr(self._client(within_s), method)(**{"headers": self._headers, **options})
        except InferenceServerException as error:
            status = STATUS_OF_HTTP.get(str(error.status()), AWAY)
            raise _error(self._said.url, error.message(), status) from None
        except DEFECTS as error:  # of the connection, or of the client, about an answer that it cannot read
            self._own.client = None  # what follows on this connection may belong to this call
            raise _error(self._said.url, f"{type(error).__name__}: {error}", AWAY) from None

    def _client(self, within_s: float) -> Any:
        """Return the client of this thread, as they are not thread-safe; each thread has one `within_s`."""
        client = getattr(self._own, "client", None)
        if client is None:
            client = self._own.client = self._library.InferenceServerClient(
                self._said.url,
                connection_timeout=LOOK_WITHIN_S,
                network_timeout=within_s,
                ssl=self._said.tls,
                ssl_context_factory=lambda: self._context,
            )
        return client


def _check_tls(said: RemoteParameters) -> ssl.SSLContext | None:
    """Return what the files for TLS say; `None` without TLS.

    Raises:
        OSError: one is not usable.
    """
    if not said.tls:
        return None
    context = ssl.create_default_context(cafile=_path(said.tls_ca_file))
    if isinstance(said.tls_certificate_file, str):
        no_question = "".encode  # else it would ask at the terminal for the password of a key
        context.load_cert_chain(said.tls_certificate_file, _path(said.tls_key_file), no_question)
    return context


def _path(value: str | UnsetType) -> str | None:
    return None if value is UNSET else str(value)


def _tensors(library: ModuleType, call: Call, **encoding: bool) -> dict[str, Any]:
    """Return the tensors of a call, as arguments of tritonclient's `infer`.

    Raises:
        RemoteError: one cannot be sent in this encoding, such as bytes that are no text as JSON.
    """
    inputs = []
    for name, array in call.inputs.items():
        tensor = library.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        try:
            inputs.append(tensor.set_data_from_numpy(array, **encoding))
        except InferenceServerException as error:
            raise RemoteError(f"input '{name}': {error.message()}", "UNIMPLEMENTED") from None
    outputs = [library.InferRequestedOutput(name, **encoding) for name in call.outputs]
    return {"inputs": inputs, "outputs": outputs}


def _arrays(url: str, result: Any, outputs: Collection[str]) -> Arrays | RemoteError:
    try:
        arrays = {name: result.as_numpy(name) for name in outputs}
    except DEFECTS as error:  # what the client raises about bytes that do not fit, it does not say
        return _error(url, f"an answer that cannot be read ({type(error).__name__}: {error})", "INTERNAL")
    missing = [name for name, array in arrays.items() if array is None]
    return _error(url, f"the answer has no output '{missing[0]}'", "INTERNAL") if missing else arrays


def _error(url: str, message: str, status: str) -> RemoteError:
    return RemoteError(f"{url}: {' '.join(message.split())}", status)
