"""The deadline of a router applies to the whole request, including the time before a decision."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, decision_of, items, reasons_out, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

SLOW_MS = 1500
DEADLINE_MS = 2250
"""Enough for the slow variant, but not after it, or something as slow, has had its turn."""


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("deadlines"))
    for slow in ("queued_slow", "retried_slow"):  # one for each router, so that their warm-ups do not meet
        repository.variant(slow, "scaling", delay_ms=SLOW_MS)
    repository.variant("fast", "scaling")
    repository.variant("lame", "refusing", refuses="negatives", message="no", delay_ms=SLOW_MS)
    hurried = {"max_latency_ms": DEADLINE_MS, "warmup_batch_sizes": "1"}
    repository.router("queued", "queued_slow, fast", worker_threads=1, **hurried)
    repository.router("retried", "lame, retried_slow, fast", policy="static:lame", **hurried)
    return triton_server(repository.folder)


@pytest.fixture
def client(server: EmbeddedTriton) -> Iterator[Client]:
    with closing(Client(server)) as client:
        yield client


def expect_slow_to_be_known_and_in_time(client: Client, router: str) -> None:
    def known() -> bool:
        decision = decision_of(client.ask(router, items(1), parameters={"router_dry_run": True}))
        (slow,) = (each for each in decision["candidates"] if each["variant"] == f"{router}_slow")
        return slow["reason_out"] is None and (slow["predicted_ms"] or 0.0) > SLOW_MS / 2

    until(known)


@pytest.mark.usefixtures("python_host")  # the native host has no queue
def test_time_in_the_routers_queue_reduces_the_models_deadline(client: Client) -> None:
    expect_slow_to_be_known_and_in_time(client, "queued")
    arrived = client.executions("queued")
    first = client.submit("queued", items(1), parameters={"router_allowed_variants": "queued_slow"})
    until(lambda: client.executions("queued") > arrived)  # a call that is sent later may arrive first
    decision = client.decision("queued", items(1))
    assert reasons_out(decision) == {"queued_slow": "would be late"}
    first.answer.result()
    expect_slow_to_be_known_and_in_time(client, "queued")


def test_the_time_of_a_failed_attempt_reduces_the_models_deadline(client: Client) -> None:
    expect_slow_to_be_known_and_in_time(client, "retried")
    decision = client.decision("retried", items(-1))
    assert [failed["variant"] for failed in decision["failed"]] == ["lame"]
    assert reasons_out(decision) == {"lame": "excluded from this request", "retried_slow": "would be late"}
