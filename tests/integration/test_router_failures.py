"""A client gets an error only if no variant can answer, and the error says why."""

from collections.abc import Callable

import numpy as np
import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, decision_of, items, reasons_out, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

MAGIC = 666  # kills the process of a `mortal`
GROUP = 'max_batch_size: 8 instance_group { name: "gang" kind: KIND_CPU }'
MISLEADING = {
    "talkative": "unknown model size 7",
    "gossip": "Model 'gossip' is not ready",
    "alarmist": "Stub process 'x' is not healthy",
}
"""Variants whose own message reads as if it were Triton's word on them."""


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("failures"))
    repository.variant("no_paper", "refusing", refuses="everything", message="out of paper")
    repository.variant("no_ink", "refusing", refuses="everything", message="out of ink")
    repository.variant("picky", "refusing", refuses="negatives", message="no negatives, please")
    repository.variant("choosy", "refusing", refuses="negatives", message="nothing below zero")
    repository.variant("mortal", "mortal")
    repository.variant("mortal_alone", "mortal")
    repository.variant("mortal_gang", "mortal", {"max_batch_size: 8": GROUP})
    for name, message in MISLEADING.items():
        repository.variant(name, "refusing", refuses="negatives", message=message)
    repository.variant("absent", "gated", gate="nowhere")
    repository.variant("missing", "gated", gate="nowhere")
    repository.variant("double", "scaling", factor=2)
    repository.variant("slow_double", "scaling", factor=2, delay_ms=100)
    repository.router("half_broken", "no_paper, double")
    repository.router("broken", "no_paper, no_ink")
    repository.router("exacting", "picky, choosy")
    repository.router("fragile", "mortal, slow_double")
    repository.router("doomed", "mortal_alone")
    repository.router("deserted", "absent, missing")
    repository.router("half_deserted", "absent, double")
    repository.router("doomed_gang", "mortal_gang")
    for name in MISLEADING:
        repository.router(f"only_{name}", name)
    repository.router("steady", "double")
    return triton_server(repository.folder)


def test_another_variant_answers_when_one_fails(client: Client) -> None:
    failed: list[dict[str, str]] = []
    while not failed:
        decision = client.decision("half_broken", items(1))
        assert decision["variant"] == "double"
        failed = decision["failed"]
    assert failed[0]["variant"] == "no_paper"
    assert "out of paper" in failed[0]["error"]


def test_a_variant_that_keeps_failing_gets_no_requests_for_a_while(client: Client) -> None:
    def left_alone() -> bool:
        decision = client.decision("half_broken", items(1))
        return reasons_out(decision) == {"no_paper": "breaker open after failures"}

    until(left_alone)


def test_when_every_variant_fails_the_client_sees_the_message_of_each(client: Client) -> None:
    refusal = client.refusal("broken", items(1))
    assert refusal.status == "INTERNAL"
    assert refusal.message.startswith("model 'broken': no variant could answer the request (")
    assert "no_paper: " in refusal.message
    assert "out of paper" in refusal.message
    assert "no_ink: " in refusal.message
    assert "out of ink" in refusal.message


def test_an_invalid_request_gets_the_variants_messages_and_does_not_block_valid_ones(client: Client) -> None:
    for _ in range(5):
        refusal = client.refusal("exacting", items(-1))
        assert "no negatives, please" in refusal.message
        assert "nothing below zero" in refusal.message
        decision = client.decision("exacting", items(1))
        assert decision["failed"] == []
        assert reasons_out(decision) == {}


def test_without_a_ready_variant_the_router_is_unavailable_and_says_why(client: Client) -> None:
    for _ in range(3):
        refusal = client.refusal("deserted", items(1))
        assert refusal.status == "UNAVAILABLE"
        assert refusal.message.startswith("model 'deserted': no variant can serve this request now (")
        assert "absent: " in refusal.message
        assert "missing: " in refusal.message
        assert refusal.message.count("not ready") == 2


def test_a_variant_that_did_not_load_does_not_affect_the_router(client: Client) -> None:
    for _ in range(3):
        decision = client.decision("half_deserted", items(1))
    assert decision["variant"] == "double"
    assert decision["failed"] == []
    assert "not ready" in reasons_out(decision)["absent"]


def test_when_a_variant_is_killed_all_requests_are_answered_and_later_ones_avoid_it(client: Client) -> None:
    failed: list[dict[str, str]] = []
    while not failed:
        killer = client.submit("fragile", items(MAGIC), parameters={"router_explain": True})
        fellows = [client.submit("fragile", items(number)) for number in range(4)]
        others = [client.submit("steady", items(number)) for number in range(4)]
        for number, (fellow, other) in enumerate(zip(fellows, others, strict=True)):
            assert fellow.answer.result().as_numpy("OUTPUT")[0, 0] in (number, 2 * number)
            np.testing.assert_array_equal(other.answer.result().as_numpy("OUTPUT"), items(2 * number))
        failed = decision_of(killer.answer.result())["failed"]
    np.testing.assert_array_equal(killer.answer.result().as_numpy("OUTPUT"), items(2 * MAGIC))
    assert failed[0]["variant"] == "mortal"
    assert "is not healthy" in failed[0]["error"] or "no answer within" in failed[0]["error"]

    def avoided() -> bool:
        decision = client.decision("fragile", items(1))
        assert decision["variant"] == "slow_double"
        return reasons_out(decision) == {
            "mortal": "breaker open: its process has ended, load the model again"
        }

    until(avoided)


def test_when_the_only_variant_is_killed_the_client_gets_an_error_and_the_server_continues(
    client: Client,
) -> None:
    np.testing.assert_array_equal(client.output("doomed", items(1)), items(1))
    refusal = client.refusal("doomed", items(MAGIC))
    assert "mortal_alone: " in refusal.message
    assert "is not healthy" in refusal.message
    until(lambda: client.refusal("doomed", items(1)).status == "UNAVAILABLE")  # unless it is the probe
    np.testing.assert_array_equal(client.output("steady", items(1)), items(2))


@pytest.mark.parametrize("variant", MISLEADING)
def test_a_variants_misleading_message_reaches_the_client_and_the_variant_stays(
    client: Client, variant: str
) -> None:
    for _ in range(3):
        refusal = client.refusal(f"only_{variant}", items(-1))
        assert refusal.status == "INTERNAL"
        assert MISLEADING[variant] in refusal.message
        np.testing.assert_array_equal(client.output(f"only_{variant}", items(1)), items(1))


def test_a_killed_variant_with_named_instances_is_known_to_be_dead(
    client: Client,
) -> None:
    assert "Stub process 'gang_0' is not healthy" in client.refusal("doomed_gang", items(MAGIC)).message

    def is_refused_for_that() -> bool:
        refusal = client.refusal("doomed_gang", items(1))  # which may be the probe
        return refusal.status == "UNAVAILABLE" and "its process has ended" in refusal.message

    until(is_refused_for_that)
