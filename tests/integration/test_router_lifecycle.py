"""Variants and the router itself are loaded and unloaded while the router serves."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, items, reasons_out, state_of, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

RELOADS = 5


@pytest.fixture(scope="module")
def repository(host_folder: Path) -> ModelRepository:
    repository = ModelRepository(host_folder)
    repository.variant("fast", "scaling", factor=2)
    repository.variant("slow", "scaling", factor=3, delay_ms=50)
    repository.variant("late", "gated", gate=str(repository.folder / "gate"))
    repository.variant("gather", "gathering", gather=6)
    for name in ("asked", "copied"):
        repository.variant(name, "scaling", {"dims: 4": "dims: -1"})
    repository.router("unmeasured", "asked, copied", policy="static:asked")
    repository.router("either", "fast, slow")
    repository.router("patient", "late, slow")
    repository.router("held", "gather", warmup_batch_sizes="none")  # its calls are counted
    repository.variant("taken_over", "scaling", factor=2)
    repository.variant("lonely", "scaling", factor=4)
    repository.router("alone", "lonely", warmup_batch_sizes="none")
    repository.router("reloaded", "fast, slow")
    return repository


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository) -> EmbeddedTriton:
    return triton_server(repository.folder, model_control_mode="explicit", extra_arguments=["--load-model=*"])


@contextmanager
def traffic(server: EmbeddedTriton, model: str) -> Iterator[None]:
    """Two clients that send one request after the other and must not get an error."""
    ended = threading.Event()

    def send() -> int:
        answered = 0
        with closing(Client(server)) as client:
            while not ended.is_set():
                assert client.output(model, items(1))[0, 0] in (2, 3)
                answered += 1
        return answered

    with ThreadPoolExecutor() as pool:
        senders = [pool.submit(send) for _ in range(2)]
        try:
            yield
        finally:
            ended.set()
        assert min(sender.result() for sender in senders) > 0


def test_a_variant_that_becomes_ready_later_is_used_without_a_reload_of_the_router(
    client: Client, repository: ModelRepository
) -> None:
    until(lambda: "late" in reasons_out(client.decision("patient", items(1))))
    (repository.folder / "gate").touch()
    client.grpc.load_model("late")
    until(lambda: client.decision("patient", items(1))["variant"] == "late")
    np.testing.assert_array_equal(client.output("patient", items(5)), items(5))


def test_a_variant_that_is_unloaded_is_used_again_once_it_is_back(
    server: EmbeddedTriton, client: Client
) -> None:
    until(lambda: client.decision("either", items(1))["variant"] == "fast")
    with traffic(server, "either"):
        client.grpc.unload_model("fast")
        until(lambda: "fast" in reasons_out(client.decision("either", items(1))))
        assert client.decision("either", items(1))["variant"] == "slow"
        client.grpc.load_model("fast")
        until(lambda: client.decision("either", items(1))["variant"] == "fast")


def test_a_variant_that_a_copy_finds_unloaded_is_used_again_once_it_is_back(client: Client) -> None:
    assert reasons_out(client.decision("unmeasured", items(1))) == {}, "it was loaded at the first request"
    client.grpc.unload_model("copied")
    until(lambda: "copied" in reasons_out(client.decision("unmeasured", items(1))))
    client.grpc.load_model("copied")
    until(lambda: reasons_out(client.decision("unmeasured", items(1))) == {})


def test_the_first_request_after_the_only_variant_was_loaded_is_answered(client: Client) -> None:
    np.testing.assert_array_equal(client.output("alone", items(1)), items(4))
    client.grpc.unload_model("lonely")
    assert client.refusal("alone", items(1)).status == "UNAVAILABLE"
    client.grpc.load_model("lonely")
    time.sleep(1.5)  # without a request; the router looks for missing variants every 0.5 s
    np.testing.assert_array_equal(client.output("alone", items(1)), items(4))


def test_requests_in_flight_are_answered_when_their_router_is_unloaded(client: Client) -> None:
    calls = [client.submit("held", items(1)) for _ in range(5)]
    until(lambda: client.executions("gather") >= len(calls))
    client.grpc.unload_model("held")
    client.ask("gather", items(1))
    for call in calls:
        np.testing.assert_array_equal(call.answer.result().as_numpy("OUTPUT"), items(1))
    until(lambda: state_of(client, "held") == "UNAVAILABLE")
    client.grpc.load_model("held")
    np.testing.assert_array_equal(client.output("held", items(-1)), items(-1))


def test_a_router_can_be_reloaded_again_and_again_under_traffic(
    server: EmbeddedTriton, client: Client, repository: ModelRepository
) -> None:
    with traffic(server, "reloaded"):
        for number in range(RELOADS):
            # Triton reloads a model only if its configuration has changed.
            repository.router("reloaded", "fast, slow", max_in_flight=1000 + number)
            client.grpc.load_model("reloaded")
    until(lambda: server.log_text().count("successfully unloaded 'reloaded'") == RELOADS)
    assert state_of(client, "reloaded") == "READY"


def test_a_router_takes_the_name_of_a_model_that_clients_call(
    server: EmbeddedTriton, client: Client, repository: ModelRepository
) -> None:
    with traffic(server, "taken_over"):
        (repository.folder / "taken_over").rename(repository.folder / "as_before")
        repository.router("taken_over", "as_before, fast")
        client.grpc.load_model("as_before")
        client.grpc.load_model("taken_over")
        assert client.decision("taken_over", items(1))["variant"] in ("as_before", "fast")


@pytest.mark.parametrize("served", [False, True])
def test_a_router_can_be_unloaded_as_soon_as_it_is_loaded(client: Client, served: bool) -> None:
    for _ in range(2):
        client.grpc.unload_model("reloaded")
        until(lambda: state_of(client, "reloaded") == "UNAVAILABLE")
        client.grpc.load_model("reloaded")
        if served:
            client.ask("reloaded", items(1))
    np.testing.assert_array_equal(client.output("fast", items(1)), items(2))
