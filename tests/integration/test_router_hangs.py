"""A variant that hangs, or never answers, costs a client at most the bound, and no client an answer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, Scrape, decision_of, items, reasons_out, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

BOUND_MS = 300
HANG = "hang"
SILENT = "silent"
CROWD = 40


@pytest.fixture(scope="module")
def gates(host_folder: Path) -> Path:
    """The folder of the files that make variants hang."""
    return host_folder


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory, gates: Path
) -> EmbeddedTriton:
    repository = ModelRepository(tmp_path_factory.mktemp("hangs"))
    for router in ("hung", "silent", "crowded", "late", "leaky"):
        repository.variant(f"{router}_fast", "hanging", gate=str(gates / router))
        repository.variant(f"{router}_steady", "scaling", delay_ms=20)
        variants = f"{router}_fast, {router}_steady"
        repository.router(
            router, variants, overdue_min_ms=BOUND_MS, trace_file=str(gates / f"{router}.jsonl")
        )
    for name in ("lost_first", "lost_second"):
        repository.variant(name, "hanging", gate=str(gates / name))
    repository.router("lost", "lost_first, lost_second", overdue_min_ms=BOUND_MS)
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
    fast = f"{router}_fast"
    until(lambda: all(client.decision(router, items(1))["variant"] == fast for _ in range(10)))


def expect_measured(client: Client, router: str, *variants: str) -> None:
    """Send requests to each variant until its latency is known."""

    def is_known(variant: str) -> bool:
        client.output(router, items(1), parameters={"router_allowed_variants": variant})
        return client.knows(router, variant)

    for variant in variants:
        until(lambda variant=variant: is_known(variant))


def overdue(server: EmbeddedTriton, variant: str) -> float:
    """Return how many calls to a variant were overdue."""
    return Scrape(server).total("model_router_faults_total", variant=variant, fault="overdue")


@pytest.mark.parametrize(("router", "how"), [("hung", HANG), ("silent", SILENT)])
def test_a_request_whose_variant_does_not_answer_goes_to_another_one(
    client: Client, close: Callable[[str, str], None], gates: Path, router: str, how: str
) -> None:
    expect_fast_to_serve(client, router)
    close(router, how)
    calls = [client.submit(router, items(value)) for value in range(4)]
    for value, call in enumerate(calls):
        assert call.answer.result().as_numpy("OUTPUT")[0, 0] == value

    def is_out() -> bool:
        decision = client.decision(router, items(1))
        assert decision["variant"] == f"{router}_steady"
        return reasons_out(decision) == {f"{router}_fast": "breaker open: it has not answered in time"}

    until(is_out)
    (gates / router).unlink()
    until(lambda: client.decision(router, items(1))["variant"] == f"{router}_fast")
    until(lambda: '"overdue"' in (gates / f"{router}.jsonl").read_text())


def test_requests_that_every_variant_has_lost_are_sent_again_once_one_answers(
    server: EmbeddedTriton, client: Client, close: Callable[[str, str], None], gates: Path
) -> None:
    variants = ("lost_first", "lost_second")
    expect_measured(client, "lost", *variants)
    before = [overdue(server, variant) for variant in variants]
    for variant in variants:
        close(variant, SILENT)
    calls = [client.submit("lost", items(value)) for value in range(4)]
    first, second = (count + len(calls) for count in before)
    until(lambda: overdue(server, variants[0]) >= first and overdue(server, variants[1]) >= second)
    assert not any(call.answer.done() for call in calls)
    (gates / "lost_second").unlink()
    client.output("lost", items(1), parameters={"router_allowed_variants": "lost_second"})
    for value, call in enumerate(calls):
        assert call.answer.result().as_numpy("OUTPUT")[0, 0] == value


def test_what_needs_no_call_is_answered_while_all_variants_hang(
    server: EmbeddedTriton, client: Client, close: Callable[[str, str], None], gates: Path
) -> None:
    variants = ("lost_first", "lost_second")
    expect_measured(client, "lost", *variants)
    before = sum(overdue(server, variant) for variant in variants)
    for variant in variants:
        close(variant, HANG)
    calls = [client.submit("lost", items(value)) for value in range(CROWD)]
    until(lambda: sum(overdue(server, variant) for variant in variants) >= before + 16)
    for _ in range(3):
        client.ask("lost", items(1), parameters={"router_dry_run": True})
        assert client.ask("lost", items(1), parameters={"router_report": True})
        hurried = {"router_refuse_late": True, "router_max_latency_ms": 100}
        assert client.refusal("lost", items(1), parameters=hurried).status == "UNAVAILABLE"
    for variant in variants:
        (gates / variant).unlink()
    for value, call in enumerate(calls):
        assert call.answer.result().as_numpy("OUTPUT")[0, 0] == value


def test_a_variant_serves_again_after_it_has_lost_more_calls_than_it_may_have(
    client: Client, close: Callable[[str, str], None], gates: Path
) -> None:
    expect_fast_to_serve(client, "leaky")
    close("leaky", SILENT)
    pinned = {"router_allowed_variants": "leaky_fast"}
    lost = [client.submit("leaky", items(1), parameters=pinned) for _ in range(CROWD)]
    until(lambda: bool(reasons_out(client.decision("leaky", items(1)))))
    for call in lost:
        call.cancel()
    (gates / "leaky").unlink()
    until(lambda: client.decision("leaky", items(1))["variant"] == "leaky_fast")
    for value in range(5):
        assert client.output("leaky", items(value), parameters=pinned)[0, 0] == value


def test_the_decision_says_which_variant_has_not_answered(
    client: Client, close: Callable[[str, str], None]
) -> None:
    expect_fast_to_serve(client, "late")
    close("late", HANG)
    decision = client.decision("late", items(1))
    assert decision["variant"] == "late_steady"
    assert [each["variant"] for each in decision["failed"]] == ["late_fast"]
    assert decision["failed"][0]["error"].startswith("no answer within 3")


def test_an_answer_that_comes_late_is_the_clients_if_no_other_variant_may_serve_it(
    client: Client, close: Callable[[str, str], None], gates: Path
) -> None:
    expect_fast_to_serve(client, "late")
    close("late", HANG)
    pinned = {"router_allowed_variants": "late_fast", "router_explain": True}
    call = client.submit("late", items(7), parameters=pinned)
    until(lambda: bool(reasons_out(client.decision("late", items(1)))))
    assert not call.answer.done()
    (gates / "late").unlink()
    assert call.answer.result().as_numpy("OUTPUT")[0, 0] == 7
    assert decision_of(call.answer.result())["variant"] == "late_fast"


def test_a_variant_that_hangs_does_not_take_the_room_of_others(
    client: Client, close: Callable[[str, str], None], gates: Path
) -> None:
    expect_fast_to_serve(client, "crowded")
    close("crowded", HANG)
    pinned = {"router_allowed_variants": "crowded_fast"}
    stuck = [client.submit("crowded", items(value), parameters=pinned) for value in range(CROWD)]
    for _ in range(3):
        assert client.decision("crowded", items(1))["variant"] == "crowded_steady"
        assert client.ask("crowded", items(1), parameters={"router_report": True})
        client.ask("crowded", items(1), parameters={"router_dry_run": True})
        hurried = {"router_refuse_late": True, "router_max_latency_ms": 100, **pinned}
        assert client.refusal("crowded", items(1), parameters=hurried).status == "UNAVAILABLE"
    assert not any(call.answer.done() for call in stuck)
    (gates / "crowded").unlink()
    for value, call in enumerate(stuck):
        assert call.answer.result().as_numpy("OUTPUT")[0, 0] == value
    until(lambda: client.decision("crowded", items(1))["variant"] == "crowded_fast")


def test_a_deadline_is_kept_by_a_variant_that_hangs(
    client: Client, close: Callable[[str, str], None]
) -> None:
    expect_fast_to_serve(client, "hung")
    close("hung", HANG)
    for _ in range(5):  # it goes to the other variant while there is time
        hurried = {"router_refuse_late": True, "router_max_latency_ms": 2000}
        assert client.output("hung", items(3), parameters=hurried)[0, 0] == 3
