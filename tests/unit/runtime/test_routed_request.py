"""What is recorded of a request, with a real router and a real trace."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from router_backend.core.records.outcome import Fault, Outcome, Refusal
from router_backend.core.records.request import RoutingContext
from router_backend.errors import InvalidRequestError, NoVariantError, VariantsFailedError
from router_backend.runtime.error_classifier import Failure
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.request_options import NO_OPTIONS
from router_backend.runtime.routed_request import Reception, RoutedRequest
from tests.unit.runtime.routers import router_model_of

BROKEN = Failure(Fault.ERROR, "out of memory", "INTERNAL")
MISSING = Failure(Fault.NOT_READY, "not ready", "INTERNAL")


class Traffic:
    """Requests of one router model, which end in all ways."""

    def __init__(self, reception: Reception) -> None:
        self.reception = reception

    def request(self, context: RoutingContext | None = None) -> RoutedRequest:
        return RoutedRequest(self.reception, context or RoutingContext(), NO_OPTIONS, time.monotonic())

    def refusals(self) -> dict[Refusal, int]:
        found = self.reception.model.router.get_metrics().get_model_metrics("m").counts.refusals
        return {refusal: count for refusal, count in found.items() if count}

    def ends(self, outcome: Outcome) -> int:
        variants = self.reception.model.router.get_metrics().get_model_metrics("m").variants.values()
        return sum(variant.count(outcome) for variant in variants)

    def in_flight(self) -> int:
        return sum(state.load.in_flight for state in self.reception.logical.states.values())


@contextmanager
def traffic_of(repository: Path, **parameters: str) -> Iterator[Traffic]:
    with router_model_of(repository, [], **parameters) as model:
        yield Traffic(Reception(model, Readiness(model.setup, model.router, lambda _: True)))


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[Traffic]:
    with traffic_of(tmp_path) as made:
        yield made


def traced(repository: Path, serve: Callable[[Traffic], object]) -> list[dict[str, Any]]:
    """Return the trace of what `serve` does."""
    path = repository / "trace.jsonl"
    with traffic_of(repository, trace_file=str(path)) as traffic:
        serve(traffic)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_answer_after_a_failure_is_traced_once_with_the_failure(tmp_path: Path) -> None:
    def serve(traffic: Traffic) -> None:
        request = traffic.request()
        request.record_failure(request.next_attempt(), BROKEN)
        request.record_answer(request.next_attempt(), 4.0)

    (line,) = traced(tmp_path, serve)
    assert line["latency_ms"] == 4.0
    assert [each["fault"] for each in line["failures"]] == ["error"]
    assert {line["variant"], line["failures"][0]["variant"]} == {"a", "b"}
    assert "refusal" not in line


def test_an_answer_counts_without_a_trace_too(traffic: Traffic) -> None:
    request = traffic.request()
    request.record_answer(request.next_attempt(), 4.0)
    assert (traffic.ends(Outcome.SUCCESS), traffic.in_flight()) == (1, 0)


def test_an_answer_that_comes_too_late_is_learned_from_and_not_traced_again(tmp_path: Path) -> None:
    def serve(traffic: Traffic) -> None:
        request = traffic.request()
        attempt = request.next_attempt()
        request.record_lateness(50.0)
        request.record_answer(attempt, 60.0)
        assert traffic.reception.logical.state(attempt.variant).answers == 1
        assert traffic.in_flight() == 0

    (line,) = traced(tmp_path, serve)
    assert line["refusal"] == "deadline"
    assert "latency_ms" not in line


def test_lateness_counts_as_a_refusal_and_names_the_variant_that_works(traffic: Traffic) -> None:
    request = traffic.request()
    request.record_failure(request.next_attempt(), BROKEN)
    attempt = request.next_attempt()
    error = request.record_lateness(50.0)
    assert f"within 50 ms, found none yet from {attempt.variant}:" in str(error)
    assert traffic.refusals() == {Refusal.DEADLINE: 1}
    assert request.dispatch.has_ended
    assert attempt.is_open


def test_a_cancellation_is_traced_with_the_failures_before_it_and_is_no_refusal(tmp_path: Path) -> None:
    def serve(traffic: Traffic) -> None:
        request = traffic.request()
        request.record_failure(request.next_attempt(), BROKEN)
        request.next_attempt()
        request.record_cancellation()
        assert (traffic.refusals(), traffic.in_flight()) == ({}, 0)
        assert (traffic.ends(Outcome.FAILURE), traffic.ends(Outcome.IGNORED)) == (0, 2)

    (line,) = traced(tmp_path, serve)
    assert [each["fault"] for each in line["failures"]] == ["error"]
    assert not {"refusal", "latency_ms"} & set(line)


def test_a_request_that_all_variants_failed_is_traced_as_no_refusal(tmp_path: Path) -> None:
    def serve(traffic: Traffic) -> None:
        request = traffic.request()
        for _ in range(2):
            request.record_failure(request.next_attempt(), BROKEN)
        with pytest.raises(VariantsFailedError):
            request.next_attempt()

    (line,) = traced(tmp_path, serve)
    assert [each["fault"] for each in line["failures"]] == ["error", "error"]
    assert "refusal" not in line


def test_a_request_that_no_variant_may_serve_is_traced_with_the_reason_and_its_deadline(
    tmp_path: Path,
) -> None:
    def serve(traffic: Traffic) -> None:
        for variant in "ab":
            traffic.reception.logical.set_ready(variant, "not ready: a test")
        with pytest.raises(NoVariantError):
            traffic.request(RoutingContext(batch_size=3, max_latency_ms=7.0)).next_attempt()
        with pytest.raises(InvalidRequestError):
            traffic.request(RoutingContext(allowed_variants=frozenset({"c"}))).next_attempt()

    lines = traced(tmp_path, serve)
    assert [line["refusal"] for line in lines] == ["no_variant", "invalid_request"]
    assert (lines[0]["batch_size"], lines[0]["deadline_ms"]) == (3, 7.0)


def test_a_request_beyond_the_limit_in_flight_is_counted_and_traced(tmp_path: Path) -> None:
    def serve(traffic: Traffic) -> None:
        traffic.reception.overloaded(RoutingContext(), time.monotonic())
        assert traffic.refusals() == {Refusal.OVERLOADED: 1}

    (line,) = traced(tmp_path, serve)
    assert line["refusal"] == "overloaded"


def test_an_invalid_request_is_counted(traffic: Traffic) -> None:
    traffic.reception.invalid()
    assert traffic.refusals() == {Refusal.INVALID_REQUEST: 1}


def test_a_variant_that_a_request_found_missing_is_looked_for(tmp_path: Path) -> None:
    with traffic_of(tmp_path, readiness_interval_ms="1") as traffic:
        readiness = traffic.reception.readiness
        assert readiness.look() == ["a", "b"]
        request = traffic.request()
        request.record_failure(request.next_attempt(), BROKEN)
        assert readiness.look() == []
        attempt = request.next_attempt()
        request.record_failure(attempt, MISSING)
        assert readiness.look() == [attempt.variant]


def test_a_dry_run_takes_no_place_and_is_not_traced(tmp_path: Path) -> None:
    def serve(traffic: Traffic) -> None:
        found = traffic.request(RoutingContext(dry_run=True)).dry_run()
        assert found["variant"] in ("a", "b")
        assert traffic.in_flight() == 0

    assert traced(tmp_path, serve) == []
