"""Triton's own queues, in front of a router and of its variants, hold on both hosts."""

from collections.abc import Callable

import numpy as np
import pytest

from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from tests.integration.client import Call, Client, Refusal, items, refusal_of
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

FULL = "Exceeds maximum queue size"
BATCHED = "dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: %d %s }"
"""Triton keeps requests until eight items are together, or the time is over."""
SECOND_US = 1_000_000
ROOM_FOR_TWO = "default_queue_policy { max_queue_size: 2 }"
HASTY = "default_queue_policy { default_timeout_microseconds: 50000 }"
ONE_WAITS = {
    "max_batch_size: 8": f"max_batch_size: 8 {BATCHED % (0, 'default_queue_policy { max_queue_size: 1 }')}"
}


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("queues"))
    repository.variant("double", "scaling", factor=2)
    repository.variant("narrow", "scaling", ONE_WAITS, factor=2, delay_ms=500)
    repository.variant("wide", "scaling", factor=3)
    repository.router("gathered", "double", "max_batch_size: 8 " + BATCHED % (SECOND_US, ""))
    repository.router("limited", "double", "max_batch_size: 8 " + BATCHED % (5 * SECOND_US, ROOM_FOR_TWO))
    repository.router("hasty", "double", "max_batch_size: 8 " + BATCHED % (60 * SECOND_US, HASTY))
    repository.router("spills", "narrow, wide", policy="static:narrow", warmup_batch_sizes="none")
    repository.router("only_narrow", "narrow", warmup_batch_sizes="none")
    return triton_server(repository.folder)


def outcome(call: Call) -> Refusal | float:
    """Return the error that a client got, or the first value of its answer."""
    error = call.answer.exception()
    return refusal_of(error) if error else float(call.answer.result().as_numpy("OUTPUT").flat[0])


def test_each_of_the_requests_that_triton_keeps_together_gets_its_own_answer(client: Client) -> None:
    calls = [client.submit("gathered", items(value)) for value in range(8)]
    for value, call in enumerate(calls):
        np.testing.assert_array_equal(call.answer.result().as_numpy("OUTPUT"), items(2 * value))


def test_a_request_beyond_the_size_of_the_routers_queue_is_refused(client: Client) -> None:
    calls = [client.submit("limited", items(1)) for _ in range(4)]
    refused = [each for each in map(outcome, calls) if isinstance(each, Refusal)]
    assert refused
    for refusal in refused:
        assert refusal.status == "UNAVAILABLE"
        assert FULL in refusal.message


def test_a_request_that_waits_too_long_in_the_routers_queue_is_refused(client: Client) -> None:
    refusal = client.refusal("hasty", items(1))
    assert refusal == ("UNAVAILABLE", "Request timeout expired")


def test_a_request_that_finds_the_queue_of_a_variant_full_goes_to_another_one(client: Client) -> None:
    calls = [client.submit("spills", items(1)) for _ in range(8)]
    assert {outcome(call) for call in calls} == {2.0, 3.0}


def test_the_refusal_of_the_only_variants_full_queue_reaches_the_client(
    client: Client, router_host: RouterHost
) -> None:
    calls = [client.submit("only_narrow", items(1)) for _ in range(8)]
    refused = [each for each in map(outcome, calls) if isinstance(each, Refusal)]
    assert refused
    for refusal in refused:  # a Python model gets no codes of Triton 24.10
        assert refusal.status == ("UNAVAILABLE" if router_host is RouterHost.NATIVE else "INTERNAL")
        assert FULL in refusal.message
