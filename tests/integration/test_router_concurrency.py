"""Requests do not wait for other requests of the same router, up to its limits, or of another one.

No test measures time: a `gathering` variant holds requests with a positive value until it has enough of them,
so the order of answers shows which requests were in flight together.
"""

import json
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import ANSWER_S, Client, items, refusal_of, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

CROWD = 400
THREADS = 512


@pytest.fixture(scope="module")
def trace(host_folder: Path) -> Path:
    return host_folder / "trace.jsonl"


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory, trace: Path
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("concurrency"))
    repository.variant("gather_crowd", "gathering", gather=CROWD)
    repository.variant("gather_nine", "gathering", gather=9)
    repository.variant("gather_five", "gathering", gather=5)
    repository.variant("gather_two", "gathering", gather=2)
    repository.variant("double", "scaling", factor=2)
    repository.variant("triple", "scaling", factor=3)
    only_clients: dict[str, Any] = {"warmup_batch_sizes": "none"}  # the tests count executions
    repository.router("crowded", "gather_crowd", worker_threads=THREADS, **only_clients)
    repository.router("mixed", "gather_nine", **only_clients)
    repository.router("limited", "gather_five", max_in_flight=4, trace_file=str(trace), **only_clients)
    repository.router("single_file", "gather_two", worker_threads=1, **only_clients)
    repository.router("left", "double", **only_clients)
    repository.router("right", "triple", **only_clients)
    limits = {"backend_limits": {"cpu": {"max_in_flight": 1}}}
    (repository.folder / "one_place.json").write_text(json.dumps(limits))
    repository.router("turnstile", "double", routing_config="../one_place.json", **only_clients)
    # The server forwards calls between models in its own threads, 32 for each instance.
    settings = {"python": {"thread-pool-size": THREADS}}
    return triton_server(repository.folder, backend_settings=settings)


def test_400_requests_can_be_in_flight_at_once(client: Client) -> None:
    calls = [client.submit("crowded", items(number + 1)) for number in range(CROWD)]
    for number, call in enumerate(calls):
        np.testing.assert_array_equal(call.answer.result().as_numpy("OUTPUT"), items(number + 1))


def test_a_device_with_one_place_serves_requests_in_turn(client: Client) -> None:
    for value in range(300):
        np.testing.assert_array_equal(client.output("turnstile", items(value)), items(2 * value))


def test_a_fast_request_is_answered_before_the_slow_ones_that_came_first(client: Client) -> None:
    slow = [client.submit("mixed", items(1)) for _ in range(8)]
    until(lambda: client.executions("gather_nine") >= len(slow))
    np.testing.assert_array_equal(client.output("mixed", items(0)), items(0))
    assert not any(call.answer.done() for call in slow)
    client.ask("gather_nine", items(1))
    for call in slow:
        np.testing.assert_array_equal(call.answer.result().as_numpy("OUTPUT"), items(1))


def test_requests_above_the_limit_in_flight_are_refused_and_the_rest_is_answered(
    client: Client, trace: Path
) -> None:
    calls = [client.submit("limited", items(1)) for _ in range(5)]
    done, others = wait([call.answer for call in calls], timeout=ANSWER_S, return_when=FIRST_COMPLETED)
    assert len(done) == 1
    refusal = refusal_of(done.pop().exception())
    assert refusal == (
        "UNAVAILABLE",
        "4 requests are in flight, which is the limit: send fewer at a time, "
        "or raise the router's parameter 'max_in_flight'",
    )
    client.ask("gather_five", items(1))
    for answer in others:
        np.testing.assert_array_equal(answer.result().as_numpy("OUTPUT"), items(1))
    np.testing.assert_array_equal(client.output("limited", items(0)), items(0))
    until(lambda: trace.read_text().count("\n") == 6)
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    (overloaded,) = (line for line in lines if "latency_ms" not in line)
    assert (overloaded["refusal"], overloaded["batch_size"], overloaded["elements"]) == ("overloaded", 1, 4)


@pytest.mark.usefixtures("python_host")
def test_a_request_that_is_canceled_while_it_waits_never_reaches_the_variant(client: Client) -> None:
    executed, arrived = client.executions("gather_two"), client.executions("single_file")
    first = client.submit("single_file", items(1))
    until(lambda: client.executions("gather_two") == executed + 1)
    canceled = client.submit("single_file", items(0))
    last = client.submit("single_file", items(-1))
    until(lambda: client.executions("single_file") == arrived + 3)
    canceled.cancel()
    with pytest.raises(InferenceServerException, match="CANCELLED"):
        canceled.answer.result(ANSWER_S)
    asked_since = 100  # the server gets the cancellation before or soon after the first of these
    for _ in range(asked_since):
        client.ask("gather_two", items(0))
    client.ask("gather_two", items(1))
    np.testing.assert_array_equal(first.answer.result().as_numpy("OUTPUT"), items(1))
    np.testing.assert_array_equal(last.answer.result().as_numpy("OUTPUT"), items(-1))
    client.expect_executions("gather_two", executed + asked_since + 1 + len([first, last]))


def test_two_routers_on_a_server_use_their_own_variants(client: Client) -> None:
    before = [client.executions(variant) for variant in ("double", "triple")]
    calls = [client.submit("left" if number % 2 else "right", items(number)) for number in range(40)]
    for number, call in enumerate(calls):
        expected = items(2 * number if number % 2 else 3 * number)
        np.testing.assert_array_equal(call.answer.result().as_numpy("OUTPUT"), expected)
    for variant, count in zip(("double", "triple"), before, strict=True):
        client.expect_executions(variant, count + 20)


def test_after_these_tests_the_server_ends(server: EmbeddedTriton) -> None:
    server.stop()
    assert "Exit timeout expired" not in server.log_text()
    assert server.log_text().count("successfully unloaded") == server.log_text().count("successfully loaded")
