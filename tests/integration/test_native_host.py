"""What only the native host can do: it bounds calls, hands on cancellation, and adds no limit of its own."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest
from tritonclient.utils import InferenceServerException

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from tests.integration.client import Client, Scrape, items, refusal_of, state_of, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

CROWD = 1000
BOUND = {"router_max_latency_ms": 100, "router_refuse_late": True}


@pytest.fixture(scope="module")
def router_host() -> RouterHost:
    return RouterHost.NATIVE


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the cancelable variant creates when it works."""
    return tmp_path_factory.mktemp("cancelable") / "busy"


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory, busy: Path
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("native"))
    only_clients = {"warmup_batch_sizes": "none"}
    repository.variant("gather_crowd", "gathering", gather=CROWD)
    repository.variant("hangs", "gathering", gather=4)
    repository.variant("works", "cancelable", busy=str(busy))
    repository.variant("recorder", "recording")
    repository.variant("double", "scaling", factor=2)
    repository.router("crowded", "gather_crowd", **only_clients)
    repository.router("bounded", "hangs", **only_clients)
    repository.router("canceled", "works", **only_clients)
    repository.router("record", "recorder", **only_clients)
    repository.router("twofold", "double", "instance_group { kind: KIND_CPU count: 2 }", **only_clients)
    repository.router("counted", "double", **only_clients)
    repository.variant("gather_few", "gathering", gather=4)
    repository.router("holds_three", "gather_few", max_in_flight=3, **only_clients)
    repository.router("half_hung", "double, hangs", metrics_interval_ms=100, **only_clients)
    no_warmup = {"dims: 4": "dims: -1"}  # it would be answered
    repository.variant("answers", "scaling", no_warmup, factor=2)
    repository.variant("holds_a_copy", "gathering", no_warmup, gather=2)
    repository.router("copying", "answers, holds_a_copy", policy="static:answers")
    return triton_server(repository.folder, model_control_mode="explicit", extra_arguments=["--load-model=*"])


def answers(client: Client, model: str) -> bool:
    try:
        client.ask(model, items(-1))
    except InferenceServerException:
        return False
    return True


def recorded(server: EmbeddedTriton, variant: str, figure: str) -> float:
    """Return a figure of a variant of the router `half_hung` by its metrics."""
    return Scrape(server).total(f"model_router_{figure}", model="half_hung", variant=variant)


@pytest.fixture
def client(server: EmbeddedTriton) -> Iterator[Client]:
    with closing(Client(server)) as client:
        yield client


def test_a_thousand_requests_in_flight_need_no_threads(server: EmbeddedTriton, client: Client) -> None:
    client.ask("crowded", items(0))
    process = psutil.Process(server.pid)
    threads = process.num_threads()
    calls = [client.submit("crowded", items(1)) for _ in range(CROWD - 1)]
    until(lambda: client.executions("gather_crowd") >= CROWD)
    assert process.num_threads() <= threads + 2  # of gRPC
    client.ask("crowded", items(1))
    for call in calls:
        np.testing.assert_array_equal(call.answer.result().as_numpy("OUTPUT"), items(1))


def test_a_request_is_refused_at_its_deadline_while_its_variant_hangs(client: Client) -> None:
    refusal = client.refusal("bounded", items(1), parameters=BOUND)
    assert refusal == (
        "UNAVAILABLE",
        "model 'bounded': expected an answer within 100 ms, found none yet from hangs: "
        "allow more time, or send less",
    )
    assert client.refusal("bounded", items(1), timeout=50_000).message.startswith(
        "model 'bounded': expected an answer within 50 ms"
    )
    for _ in range(2):  # with these, it answers all four, two of them too late
        client.submit("bounded", items(1))
    np.testing.assert_array_equal(client.output("bounded", items(-1)), items(-1))


def test_a_call_is_canceled_when_its_client_cancels(client: Client, busy: Path) -> None:
    call = client.submit("canceled", items(1))
    until(busy.exists)
    call.cancel()
    np.testing.assert_array_equal(client.output("canceled", items(-1)), items(-1))


def test_a_call_is_canceled_at_the_deadline_of_its_request(client: Client) -> None:
    assert client.refusal("canceled", items(1), parameters=BOUND).status == "UNAVAILABLE"
    np.testing.assert_array_equal(client.output("canceled", items(-1)), items(-1))


def test_a_call_is_canceled_whose_deadline_passes_before_it_is_sent(client: Client) -> None:
    calls = [client.submit("canceled", items(1), timeout=1) for _ in range(50)]
    for call in calls:
        assert refusal_of(call.answer.exception()).status == "UNAVAILABLE"
    np.testing.assert_array_equal(client.output("canceled", items(-1)), items(-1))


def test_an_answer_is_recorded_while_another_request_hangs_and_none_arrives(
    server: EmbeddedTriton, client: Client
) -> None:
    only_hung = {"router_allowed_variants": "hangs"}
    hung = client.submit("half_hung", items(1), parameters=only_hung)
    until(lambda: recorded(server, "hangs", "in_flight_requests") == 1)
    client.ask("half_hung", items(1), parameters={"router_allowed_variants": "double"})
    until(lambda: recorded(server, "double", "requests_total") == 1)
    assert not hung.answer.done()
    for _ in range(3):  # with these, it answers all four
        client.submit("hangs", items(1))
    np.testing.assert_array_equal(hung.answer.result().as_numpy("OUTPUT"), items(1))


@pytest.mark.parametrize("timeout_us", [19 * 10**15, 2**63 - 1])
def test_a_timeout_of_centuries_passes_never(client: Client, timeout_us: int) -> None:
    np.testing.assert_array_equal(client.output("twofold", items(1), timeout=timeout_us), items(2))


@pytest.mark.parametrize("deadline_ms", [2e13, 1e18, 1e308])
def test_a_deadline_of_centuries_passes_never(client: Client, deadline_ms: float) -> None:
    late = {"router_max_latency_ms": deadline_ms, "router_refuse_late": True}
    np.testing.assert_array_equal(client.output("twofold", items(1), parameters=late), items(2))


def test_requests_that_a_hanging_variant_holds_count_as_in_flight_after_their_refusal(client: Client) -> None:
    for _ in range(3):
        refusal = client.refusal("holds_three", items(1), timeout=20_000)
        assert "expected an answer within 20 ms" in refusal.message
    assert client.refusal("holds_three", items(1)).message.startswith("3 requests are in flight")
    client.ask("gather_few", items(1))  # the variant answers all four
    until(lambda: answers(client, "holds_three"))


def test_a_router_is_unloaded_while_a_variant_holds_a_request_of_its_own(client: Client) -> None:
    def is_held() -> bool:
        client.ask("copying", items(1))
        return client.executions("holds_a_copy") >= 1

    until(is_held)
    client.grpc.unload_model("copying")
    until(lambda: state_of(client, "copying") == "UNAVAILABLE")
    client.ask("holds_a_copy", items(1))  # the variant answers both
    client.grpc.load_model("copying")
    np.testing.assert_array_equal(client.output("copying", items(1)), items(2))


def test_numbers_with_a_fraction_stay_numbers(client: Client) -> None:
    answer = client.ask("record", items(1), parameters={"temperature": 0.5})
    assert '"temperature": 0.5' in answer.as_numpy("RECEIVED").flat[0].decode()


def test_instances_share_one_router(server: EmbeddedTriton, client: Client) -> None:
    for value in range(10):
        np.testing.assert_array_equal(client.output("twofold", items(value)), items(2 * value))
    assert server.log_text().count("router 'twofold' is served by the native host") == 1


def test_its_statistics_are_those_of_whole_requests(client: Client) -> None:
    client.output("counted", items(1))
    client.expect_executions("counted", 1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("it is no Python", "expected a Python that runs, found '{python}', which does not"),
        ("3 11 0", "expected a Python that runs, found '{python}', which does not"),
        ("3 11 0'; exec sleep '300", "expected a Python that runs, found '{python}', which does not"),
        ("3 9 0", "expected Python 3.10 to 3.13 with a global interpreter lock, found 3.9 ('{python}')"),
        ("3 11 0\n/python3\n/no/libpython.so", "expected the shared library of '/python3', found none"),
    ],
    ids=["no_python", "too_short", "endless", "too_old", "no_library"],
)
def test_a_python_that_cannot_be_used_is_the_reason_why_a_router_does_not_load(
    triton_server: Callable[..., EmbeddedTriton], tmp_path: Path, answer: str, reason: str
) -> None:
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\necho '{answer}'\n")
    python.chmod(0o755)
    repository = ModelRepository(tmp_path / "repository")
    repository.variant("double", "scaling", factor=2)
    repository.router("scale", "double")
    settings = {"router_backend": {"python": str(python)}}
    server = triton_server(repository.folder, backend_settings=settings)
    reasons = {model.name: model.reason for model in server.models()}
    assert reason.format(python=python) in reasons["scale"]
    with closing(Client(server)) as client:
        np.testing.assert_array_equal(client.output("double", items(2)), items(4))
    server.stop()
