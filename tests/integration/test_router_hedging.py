"""A request that is slow goes to a second variant as well, whose answer the client gets."""

import json
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, decision_of, items, reasons_out, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

STUCK = items(1)
"""What the cancelable variant works on until it is canceled."""
SETTINGS = {"policy": "static:works", "hedge_share": "1", "warmup_batch_sizes": "none"}


@pytest.fixture(scope="module")
def trace(host_folder: Path) -> Path:
    return host_folder / "trace.jsonl"


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], host_folder: Path, trace: Path) -> EmbeddedTriton:
    repository = ModelRepository(host_folder / "repository")
    repository.variant("works", "cancelable", busy=str(host_folder / "busy"))
    repository.variant("double", "scaling", factor=2)
    repository.router(
        "hedged", "works, double", hedge="true", trace_file=str(trace), metrics_interval_ms="100", **SETTINGS
    )
    repository.router("asked", "works, double", **SETTINGS)
    return triton_server(repository.folder)


def learned(client: Client, router: str) -> None:
    """Let the router measure both variants, and save up for second copies."""
    for variant in ("works", "double"):
        for _ in range(20):
            client.ask(router, items(-1), parameters={"router_allowed_variants": variant})
        until(lambda: client.knows(router, variant))  # noqa: B023 - called at once


def counted(server: EmbeddedTriton, metric: str) -> float:
    with urllib.request.urlopen(server.metrics_url) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{metric}{{"))


@pytest.mark.usefixtures("native_host")
def test_the_client_gets_the_second_variants_answer_and_the_first_call_is_canceled(
    server: EmbeddedTriton, client: Client, trace: Path
) -> None:
    learned(client, "hedged")
    for _ in range(3):
        began_s = time.monotonic()
        answer = client.ask("hedged", STUCK, parameters={"router_explain": True})
        assert time.monotonic() - began_s < 30.0, "the first variant would never answer"
        np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), items(2))
        decision = decision_of(answer)
        assert (decision["variant"], decision["failed"]) == ("double", [])
        assert (decision["hedged"]["first"], decision["hedged"]["second"]) == ("works", "double")
    until(lambda: counted(server, "model_router_hedges_won_total") == 3)
    # It was canceled, so it is free, and says nothing of its variant.
    until(lambda: client.output("hedged", items(-1))[0, 0] == -1)
    assert reasons_out(client.decision("hedged", items(-1))) == {}
    until(lambda: trace.read_text().count('"hedge"') == 3)
    (line, *_) = (json.loads(text) for text in trace.read_text().splitlines() if '"hedge"' in text)
    assert (line["variant"], line["propensity"]) == ("works", 1.0)
    assert "service_ms" not in line
    hedge = line["hedge"]
    assert (hedge["variant"], hedge["won"]) == ("double", True)
    assert line["latency_ms"] > hedge["after_ms"] > 0.0


@pytest.mark.usefixtures("native_host")
def test_a_request_may_ask_for_it(client: Client) -> None:
    learned(client, "asked")
    np.testing.assert_array_equal(client.output("asked", STUCK, parameters={"router_hedge": True}), items(2))


@pytest.mark.usefixtures("python_host")
def test_the_python_host_says_that_it_does_not(server: EmbeddedTriton) -> None:
    assert re.search(r"router 'hedged': `hedge` has no effect on the Python host: set ", server.log_text())
    assert "router 'asked': `hedge`" not in server.log_text()
