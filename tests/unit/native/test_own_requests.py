"""The requests of the router's own, with a real router and the thread that sends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import RoutingContext
from router_backend.native.own_requests import CODES, Measurement, OwnRequests
from router_backend.native.server import log_of
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.router_model import RouterModel
from router_backend.runtime.stuck_calls import StuckCalls
from router_backend.runtime.warmup_plan import WarmupPlan
from tests.unit.native.c_side import CSide, Measured
from tests.unit.runtime.routers import router_model_of

PATIENCE_S = 60.0


@pytest.fixture
def model(tmp_path: Path) -> Iterator[RouterModel]:
    parameters = {"readiness_interval_ms": "1", "warmup_batch_sizes": "1, 4"}
    with router_model_of(tmp_path, [], **parameters) as made:
        yield made


@contextmanager
def measuring(model: RouterModel, c_side: CSide) -> Iterator[Readiness]:
    """Run the thread, and yield which variants it has found."""
    readiness = Readiness(model.setup, model.router, lambda variant: bool(c_side.is_ready(variant)))
    own_requests = OwnRequests(0, model, readiness, StuckCalls(), c_side, log_of(c_side))
    own_requests.start()
    try:
        yield readiness
    finally:
        own_requests.stop()


def next_sent(c_side: CSide) -> Measured:
    return c_side.sent.get(timeout=PATIENCE_S)


def fail(measured: Measured, code: str, *, reached: bool = True) -> None:
    measured.listener.failed(measured.attempt, 1.0, CODES.index(code), "out of memory", reached, False)


def answers(model: RouterModel, variant: str) -> int:
    return model.router.model("m").state(variant).answers


def looked(model: RouterModel) -> Readiness:
    """Return what has found all variants loaded."""
    readiness = Readiness(model.setup, model.router, lambda _: True)
    readiness.look()
    return readiness


def measurement(model: RouterModel, variant: str, readiness: Readiness) -> tuple[Measurement, Measured]:
    """Return a measurement of a variant, and its request."""
    context = RoutingContext(allowed_variants=frozenset({variant}), refuse_late=False, warmup=True)
    dispatch = model.router.dispatch("m", context)
    made = Measurement(dispatch, model.errors, readiness, StuckCalls())
    return made, Measured(variant, made, dispatch.next_attempt(), [])


def test_an_answer_ends_a_measurement_and_only_the_profile_learns(model: RouterModel) -> None:
    made, sent = measurement(model, "a", looked(model))
    assert made.open
    made.answered(sent.attempt, 3.0)
    assert (made.open, made.error, answers(model, "a")) == (False, None, 1)
    assert model.router.get_metrics().get_model_metrics("m").variants["a"].count(Outcome.SUCCESS) == 0


def test_a_failure_ends_a_measurement_with_the_error_of_the_variant(model: RouterModel) -> None:
    made, sent = measurement(model, "a", looked(model))
    fail(sent, "INTERNAL")
    assert not made.open
    assert "out of memory" in str(made.error)
    assert model.router.model("m").state("a").load.in_flight == 0


def test_a_canceled_measurement_says_nothing_about_its_variant(model: RouterModel) -> None:
    made, sent = measurement(model, "a", looked(model))
    fail(sent, "CANCELLED")
    assert (made.open, made.error, sent.attempt.fault) == (False, None, None)
    assert model.router.model("m").state("a").load.in_flight == 0


def test_a_variant_that_a_measurement_does_not_reach_is_looked_for(model: RouterModel) -> None:
    readiness = looked(model)
    _, sent = measurement(model, "a", readiness)
    fail(sent, "INTERNAL", reached=False)
    assert sent.attempt.fault is Fault.NOT_READY
    assert readiness.look() == ["a"]


def test_each_variant_is_measured_one_request_at_a_time(model: RouterModel) -> None:
    c_side = CSide()
    found = []
    with measuring(model, c_side):
        for _ in range(6):
            sent = next_sent(c_side)
            assert c_side.sent.empty()
            found.append((sent.variant, sent.inputs))
            sent.listener.answered(sent.attempt, 2.0)
    one, four = [("INPUT", "FP32", (1, 4), 16)], [("INPUT", "FP32", (4, 4), 64)]
    assert found == [(variant, inputs) for variant in "ab" for inputs in (one, one, four)]
    assert (answers(model, "a"), answers(model, "b"), c_side.logged) == (3, 3, [])


def test_a_variant_that_answers_slowly_is_waited_for(
    model: RouterModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WarmupPlan, "IDLE_WITHIN_S", 0.0)
    c_side = CSide()
    with measuring(model, c_side):
        first = next_sent(c_side)
        while not c_side.asked.empty():
            c_side.asked.get()
        for _ in range(3):  # times that the thread has looked since
            c_side.asked.get(timeout=PATIENCE_S)
        assert c_side.sent.empty()
        first.listener.answered(first.attempt, 2.0)
        assert next_sent(c_side).variant == "a"


def test_a_variant_that_fails_is_left_with_a_warning_and_the_next_is_measured(model: RouterModel) -> None:
    c_side = CSide()
    with measuring(model, c_side):
        fail(next_sent(c_side), "INTERNAL")
        assert next_sent(c_side).variant == "b"
    (warning,) = c_side.logged
    assert warning.startswith("router 'm': warm-up of 'a' ended: ")
    assert "out of memory" in warning


def test_nothing_is_asked_of_variants_while_the_server_starts(model: RouterModel) -> None:
    c_side = CSide()
    c_side.ready = None
    with measuring(model, c_side):
        assert {c_side.asked.get(timeout=PATIENCE_S) for _ in range(3)} == {"m"}
        c_side.ready = {"m", "b"}
        assert next_sent(c_side).variant == "b"


def test_a_variant_that_becomes_ready_later_is_measured_then(model: RouterModel) -> None:
    c_side = CSide()
    c_side.ready = {"m", "b"}
    with measuring(model, c_side):
        for _ in range(3):
            sent = next_sent(c_side)
            assert sent.variant == "b"
            sent.listener.answered(sent.attempt, 2.0)
        c_side.ready = {"m", "a", "b"}
        assert next_sent(c_side).variant == "a"


def test_a_busy_variant_is_not_measured_and_the_next_one_is(
    model: RouterModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WarmupPlan, "IDLE_WITHIN_S", 0.05)
    c_side = CSide()
    busy = model.router.dispatch("m", RoutingContext(allowed_variants=frozenset({"a"}))).next_attempt()
    with measuring(model, c_side):
        assert next_sent(c_side).variant == "b"
    busy.ignored()


def test_a_defect_does_not_end_the_thread(model: RouterModel, monkeypatch: pytest.MonkeyPatch) -> None:
    c_side = CSide()
    with measuring(model, c_side) as readiness:
        first = next_sent(c_side)
        defects = iter([ZeroDivisionError("a defect")])

        def due() -> bool:
            for defect in defects:
                raise defect
            return False

        monkeypatch.setattr(readiness, "due", due)
        first.listener.answered(first.attempt, 2.0)
        assert next_sent(c_side).variant == "b"
    assert any("a defect" in line for line in c_side.logged)
