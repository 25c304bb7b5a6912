import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from router_backend.executors.remote_health import RemoteHealth, mismatch
from router_backend.executors.remote_server import Call, Done, RemoteError

PATIENCE_S = 30.0
CONFIG = {
    "max_batch_size": 8,
    "input": [{"name": "TEXT", "data_type": "TYPE_STRING", "dims": ["1"]}],
    "output": [{"name": "LABEL", "data_type": "TYPE_FP32", "dims": ["-1", "4"]}],
}
TEXT = {"name": "TEXT", "datatype": "BYTES", "shape": ["-1", "1"]}
LABEL = {"name": "LABEL", "datatype": "FP32", "shape": ["-1", "3", "4"]}


class Node:
    """A model of another server that is as the test says."""

    def __init__(self) -> None:
        self.ready = True
        self.error: RemoteError | None = None
        self.tensors: Mapping[str, Any] = {}
        self.asked = threading.Semaphore(0)

    def send(self, call: Call, done: Done) -> None:
        raise NotImplementedError

    def is_ready(self) -> bool:
        self.asked.release()
        if self.error is not None:
            raise self.error
        return self.ready

    def metadata(self) -> Mapping[str, Any]:
        return self.tensors

    def close(self) -> None:
        raise NotImplementedError


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def health(node: Node, logged: list[str]) -> RemoteHealth:
    health = RemoteHealth(
        node, lambda tensors: str(tensors.get("wrong", "")), 3600.0, lambda: logged.append(health.away)
    )
    return health


def test_a_model_that_is_there_is_not_away_and_nothing_is_logged(
    health: RemoteHealth, node: Node, logged: list[str]
) -> None:
    for _ in range(3):
        health.look()
    assert (health.away, logged) == ("", [])


def test_going_and_coming_are_logged_once_each(health: RemoteHealth, node: Node, logged: list[str]) -> None:
    node.error = RemoteError("mac: refused")
    health.look()
    node.error = RemoteError("mac: no route")
    health.look()
    assert health.away == "mac: no route"
    node.error = None
    health.look()
    assert (health.away, logged) == ("", ["mac: refused", ""])


def test_what_the_server_says_is_logged_even_after_it_was_away(
    health: RemoteHealth, node: Node, logged: list[str]
) -> None:
    node.error = RemoteError("mac: refused")
    health.look()
    node.error, node.ready = None, False
    for _ in range(2):
        health.look()
    node.ready, node.tensors = True, {"wrong": "another model"}
    health.look()
    assert logged == [
        "mac: refused",
        "the model is not loaded there",
        "another model",
    ]


def test_a_model_that_is_replaced_while_it_is_ready_is_noticed(health: RemoteHealth, node: Node) -> None:
    health.look()
    node.tensors = {"wrong": "another model"}
    health.look()
    assert health.away == "another model"
    node.tensors = {}
    health.look()
    assert health.away == ""


def test_metadata_that_cannot_be_read_are_a_reason(node: Node) -> None:
    health = RemoteHealth(node, lambda tensors: mismatch(CONFIG, tensors), 3600.0, lambda: None)
    node.tensors = {"inputs": [{"name": "TEXT"}]}
    health.look()
    assert health.away == "its metadata cannot be read (KeyError: 'datatype')"
    node.tensors = {}
    health.look()
    assert health.away == ""


@pytest.fixture
def running(health: RemoteHealth) -> Iterator[RemoteHealth]:
    health.start()
    try:
        yield health
    finally:
        health.stop()


def test_after_a_failed_call_it_is_asked_at_once(running: RemoteHealth, node: Node) -> None:
    assert node.asked.acquire(timeout=PATIENCE_S)
    running.look_now()
    assert node.asked.acquire(timeout=PATIENCE_S)


def test_the_same_tensors_fit() -> None:
    assert mismatch(CONFIG, {"inputs": [TEXT], "outputs": [LABEL]}) == ""
    assert mismatch(CONFIG, {"inputs": [], "outputs": []}) == ""
    assert mismatch(CONFIG, {}) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda text, label: ([{**text, "name": "text"}], [label]),
            "config.pbtxt, input 'TEXT': expected a tensor of the model there, found none of that name: "
            "correct the name",
        ),
        (
            lambda text, label: ([text], [{**label, "datatype": "FP16"}]),
            "config.pbtxt, output 'LABEL': expected FP16, as the model there, found FP32: write the same",
        ),
        (
            lambda text, label: ([text], [{**label, "shape": [-1, 3, 5]}]),
            "config.pbtxt, output 'LABEL': expected the shape [-1, 3, 5] of the model there, "
            "found [-1, -1, 4]: write the same dims",
        ),
        (
            lambda text, label: ([{**text, "shape": [1]}], [label]),
            "config.pbtxt, input 'TEXT': expected the shape [1] of the model there, found [-1, 1]: "
            "write the same dims",
        ),
    ],
)
def test_a_difference_is_said(change: Callable[..., Any], reason: str) -> None:
    inputs, outputs = change(TEXT, LABEL)
    assert mismatch(CONFIG, {"inputs": inputs, "outputs": outputs}) == reason


def test_without_batches_the_whole_shape_is_compared() -> None:
    config = {**CONFIG, "max_batch_size": 0, "input": [], "output": CONFIG["output"]}
    assert mismatch(config, {"outputs": [{**LABEL, "shape": [-1, 4]}]}) == ""
    assert "found [-1, 4]" in mismatch(config, {"outputs": [LABEL]})
