"""Models of servers that misbehave; those that do not are in tests/integration/test_another_machine.py."""

import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from router_backend.executors import remote_server
from router_backend.executors.remote_server import (
    AWAY,
    HTTP_THREADS,
    Arrays,
    Call,
    RemoteError,
    RemoteModel,
    open_model,
)
from router_backend.executors.remote_settings import parse_settings

PATIENCE_S = 30.0
VALUES = np.arange(4, dtype=np.float32).reshape(1, 4)
ANSWER = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [0, 1, 2, 3]}]}


def call(timeout_s: float = PATIENCE_S) -> Call:
    return Call({"x": VALUES}, ["y"], timeout_s, {})


@contextmanager
def opened(url: str, **parameters: str) -> Iterator[RemoteModel]:
    """Open a model, and close its connections at the end."""
    with closing(open_model(parse_settings({"url": url, **parameters}, "m"))) as model:
        yield model


def ends(model: RemoteModel, calls: int = 1, timeout_s: float = PATIENCE_S) -> list[Arrays | RemoteError]:
    """Return how some calls ended that were made at once."""
    ended: queue.SimpleQueue[Arrays | RemoteError] = queue.SimpleQueue()
    for _ in range(calls):
        model.send(call(timeout_s), ended.put)
    return [ended.get(timeout=PATIENCE_S) for _ in range(calls)]


class Node:
    """An HTTP server that answers each call as the test says, and keeps the bodies that it got."""

    def __init__(self) -> None:
        self.answer = json.dumps(ANSWER).encode()
        self.extensions: list[str] = []
        self.bodies: list[bytes] = []
        self.go_on = threading.Event()
        self.go_on.set()
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply(json.dumps({"extensions": node.extensions, "inputs": []}).encode())

            def do_POST(self) -> None:
                node.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                node.go_on.wait(PATIENCE_S)
                self.reply(node.answer)

            def reply(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"127.0.0.1:{self.server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["Node"]:
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.go_on.set()
            self.server.shutdown()
            self.server.server_close()
            thread.join()


@pytest.fixture
def node() -> Iterator[Node]:
    with Node().running() as node:
        yield node


@pytest.fixture
def by_http(node: Node) -> Iterator[RemoteModel]:
    with opened(node.url, protocol="http") as model:
        yield model


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[1, 2]",
        b'{"outputs": [{"name": "y", "datatype": "FP99", "shape": [1, 4], "data": [1]}]}',
        b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3]}]}',
        b'{"outputs": []}',
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error(node: Node, by_http: RemoteModel, answer: bytes) -> None:
    node.answer = answer
    (error,) = ends(by_http)
    assert isinstance(error, RemoteError)
    assert str(error).startswith(f"{node.url}: ")
    node.answer = json.dumps(ANSWER).encode()
    (arrays,) = ends(by_http)
    assert not isinstance(arrays, RemoteError)
    np.testing.assert_array_equal(arrays["y"], VALUES)


def test_calls_end_in_time_even_if_they_wait_for_a_thread(node: Node, by_http: RemoteModel) -> None:
    node.go_on.clear()
    began_s = time.monotonic()
    errors = ends(by_http, calls=2 * HTTP_THREADS, timeout_s=0.1)
    assert time.monotonic() - began_s < PATIENCE_S / 3.0
    assert {str(error) for error in errors} == {f"{node.url}: no answer within 100 ms"}


@pytest.mark.parametrize(("extensions", "is_json"), [([], True), (["binary_tensor_data"], False)])
def test_tensors_are_json_for_a_server_that_takes_nothing_else(
    node: Node, by_http: RemoteModel, extensions: list[str], is_json: bool
) -> None:
    node.extensions = extensions
    assert by_http.is_ready()
    assert by_http.metadata()["inputs"] == []
    ends(by_http)
    assert (b'"data":[' in node.bodies[0].replace(b" ", b"")) is is_json


def test_a_tensor_that_json_cannot_hold_is_refused_at_once(node: Node, by_http: RemoteModel) -> None:
    by_http.metadata()
    ended: queue.SimpleQueue[Arrays | RemoteError] = queue.SimpleQueue()
    by_http.send(Call({"x": np.array([[b"\xff"]], np.object_)}, ["y"], 1e4, {}), ended.put)
    error = ended.get(timeout=PATIENCE_S)
    assert isinstance(error, RemoteError)
    assert (error.status, str(error).partition(":")[0]) == ("UNIMPLEMENTED", "input 'x'")


def test_a_server_that_is_not_there_is_away() -> None:
    for protocol in ("grpc", "http"):
        with opened("127.0.0.1:1", protocol=protocol) as model:
            with pytest.raises(RemoteError, match=r"127\.0\.0\.1:1: "):
                model.is_ready()
            (error,) = ends(model)
            assert isinstance(error, RemoteError)
            assert error.status == AWAY


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that accepts connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        yield listener


def test_a_silent_server_is_asked_by_another_connection(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_server, "LOOK_WITHIN_S", 0.2)
    with opened(f"127.0.0.1:{listener.getsockname()[1]}") as model, ExitStack() as connections:
        for _ in range(3):
            with pytest.raises(RemoteError):
                model.is_ready()
            connections.enter_context(listener.accept()[0])
