"""A variant that hangs, or never answers, costs a client at most the bound, and no client an answer."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, items, reasons_out, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

BOUND_MS = 300
HANG = "hang"
SILENT = "silent"


@pytest.fixture(scope="module")
def gates(host_folder: Path) -> Path:
    """The folder of the files that make variants hang."""
    return host_folder


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory, gates: Path
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("hangs"))
    for router in ("hung", "silent", "crowded", "late"):
        repository.variant(f"{router}_fast", "hanging", gate=str(gates / router))
        repository.variant(f"{router}_steady", "scaling", delay_ms=20)
        variants = f"{router}_fast, {router}_steady"
        repository.router(router, variants, overdue_min_ms=BOUND_MS, trace_file=str(gates / f"{router}.jsonl"))
    return triton_server(repository.folder)


@pytest.fixture
def close(gates: Path) -> Iterator[Callable[[str, str], None]]:
    """Let a router's fast variant hang, or never answer, until the end of the test or `open_gate`."""
    closed = []

    def close(router: str, how: str) -> None:
        closed.append(gates / router)
        closed[-1].write_text(how)

    yield close
    for gate in closed:
        gate.unlink(missing_ok=True)


def expect_fast_to_serve(client: Client, router: str) -> None:
    until(lambda: client.knows(router, f"{router}_steady"))
    until(lambda: client.decision(router, items(1))["variant"] == f"{router}_fast")


@pytest.mark.parametrize(("router", "how"), [("hung", HANG), ("silent", SILENT)])
def test_a_request_whose_variant_does_not_answer_goes_to_another_one(
    client: Client, close: Callable[[str, str], None], gates: Path, router: str, how: str
) -> None:
    expect_fast_to_serve(client, router)
    close(router, how)
    calls = [client.submit(router, items(value)) for value in range(4)]
    decision = client.decision(router, items(1))
    for value, call in enumerate(calls):
        assert call.answer.result().as_numpy("OUTPUT")[0, 0] == value
    if decision["variant"] != f"{router}_fast":
        assert decision["variant"] == f"{router}_steady"
    decision = client.decision(router, items(1))
    assert reasons_out(decision) == {f"{router}_fast": "breaker open: it has not answered in time"}
    (gates / router).unlink()
    started_s = time.monotonic()
    until(lambda: client.decision(router, items(1))["variant"] == f"{router}_fast")
    print("back after", time.monotonic() - started_s)
    until(lambda: '"overdue"' in (gates / f"{router}.jsonl").read_text())
