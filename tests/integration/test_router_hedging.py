"""A request that is slow goes to a second variant as well, whose answer the client gets."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, Values, decision_of, items, reasons_out, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

STUCK = items(1)
"""What the cancelable variant works on until it is canceled."""
SLOW = items(-1)
"""What the drowsy variant fails, after a long time."""
DROWSY_MS = 2000
SETTINGS = {"hedge_share": "1", "warmup_batch_sizes": "none"}


@pytest.fixture(scope="module")
def trace(host_folder: Path) -> Path:
    return host_folder / "trace.jsonl"


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], host_folder: Path, trace: Path) -> EmbeddedTriton:
    repository = ModelRepository(host_folder / "repository")
    repository.variant("works", "cancelable", busy=str(host_folder / "busy"))
    repository.variant("double", "scaling", factor=2)
    repository.variant("drowsy", "refusing", refuses="negatives", message="asleep", delay_ms=DROWSY_MS)
    traced = {"trace_file": str(trace), "metrics_interval_ms": "100", **SETTINGS}
    repository.router("hedged", "works, double", hedge="true", policy="static:works", **traced)
    repository.router("asked", "drowsy, double", policy="static:drowsy", **SETTINGS)
    return triton_server(repository.folder)


def learned(client: Client, router: str, values: Values, *variants: str) -> None:
    """Let the router measure its variants, and save up for second copies."""
    for variant in variants:
        for _ in range(20):
            asked = {"router_allowed_variants": variant, "router_hedge": True}
            client.ask(router, values, parameters=asked)
        until(lambda: client.knows(router, variant))  # noqa: B023 - called at once


def counted(server: EmbeddedTriton, metric: str) -> float:
    with urllib.request.urlopen(server.metrics_url) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{metric}{{"))


def won(trace: Path) -> list[dict[str, Any]]:
    """Return the requests that the second variant answered first."""
    lines = [json.loads(text) for text in trace.read_text().splitlines()]
    return [line for line in lines if line.get("hedge", {}).get("won")]


@pytest.mark.usefixtures("native_host")
def test_the_client_gets_the_second_variants_answer_and_the_first_call_is_canceled(
    server: EmbeddedTriton, client: Client, trace: Path
) -> None:
    learned(client, "hedged", items(-1), "works", "double")
    for _ in range(3):
        began_s = time.monotonic()
        answer = client.ask("hedged", STUCK, parameters={"router_explain": True})
        assert time.monotonic() - began_s < 30.0, "the first variant would never answer"
        np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), items(2))
        decision = decision_of(answer)
        hedged, failed = decision["hedged"], decision["failed"]
        assert (decision["variant"], hedged, failed) == ("double", hedged, []), decision
        assert (hedged["first"], hedged["second"]) == ("works", "double")
    # On a busy machine, other requests may have been slow enough for a second copy, too.
    until(lambda: counted(server, "model_router_hedges_won_total") >= 3)
    # It was canceled, so it is free, and says nothing of its variant.
    until(lambda: client.output("hedged", items(-1))[0, 0] == -1)
    assert reasons_out(client.decision("hedged", items(-1))) == {}
    until(lambda: len(won(trace)) >= 3)
    for line in won(trace):
        assert (line["variant"], line["propensity"]) == ("works", 1.0)
        assert "service_ms" not in line
        assert line["hedge"]["variant"] == "double"
        assert line["latency_ms"] > line["hedge"]["after_ms"] > 0.0


def test_a_request_may_ask_for_it_and_the_error_of_the_slower_variant_says_nothing(client: Client) -> None:
    learned(client, "asked", items(1), "drowsy", "double")
    asked = {"router_hedge": True, "router_explain": True}
    began_s = time.monotonic()
    answer = client.ask("asked", SLOW, parameters=asked)
    assert time.monotonic() - began_s < DROWSY_MS / 1e3
    np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), items(-2))
    assert decision_of(answer)["hedged"]["first"] == "drowsy"
    time.sleep(DROWSY_MS / 1e3)
    until(lambda: client.decision("asked", items(1))["variant"] == "drowsy")
    assert reasons_out(client.decision("asked", items(1))) == {}


def test_without_that_a_request_waits_and_is_then_sent_elsewhere(client: Client) -> None:
    decision = client.decision("asked", SLOW)
    assert decision["hedged"] is None
    assert [each["variant"] for each in decision["failed"]] == ["drowsy"]
