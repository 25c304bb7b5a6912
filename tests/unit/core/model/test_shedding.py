"""Which requests a model refuses so that others are in time."""

from collections.abc import Iterator

import pytest

from router_backend.core.settings import ModelSettings
from router_backend.errors import DeadlineError, ShedError
from tests.unit.core.conftest import NOW_S, ClockedModel
from tests.unit.core.model.requests import route

REFUSING = ModelSettings(refuse_late=True, max_latency_ms=35.0)


@pytest.fixture
def busy(make_model) -> Iterator[ClockedModel]:
    """A model whose only variant takes 10 ms, with one request in service and one that waits."""
    model = make_model("only", learned_ms={"only": 10.0}, settings=REFUSING)
    held = [route(model, max_latency_ms=1000.0) for _ in range(2)]
    yield model
    assert len(held) == 2


def miss(model: ClockedModel, times: int = 1, **context: object) -> None:
    """Let requests be refused that would be in time if they had not to wait."""
    for _ in range(times):
        with pytest.raises(DeadlineError, match="come again in 15 ms, allow more time, or send less"):
            route(model, max_latency_ms=15.0, **context)


def test_after_an_important_request_was_late_others_do_not_wait_as_long(busy: ClockedModel):
    miss(busy, priority=1)
    with pytest.raises(ShedError, match=r"would wait 20\.?\d* ms, and requests of priority 0 may wait 18"):
        route(busy)
    assert route(busy, priority=1).variant == "only"


def test_requests_of_one_priority_are_shed_after_many_late_ones(busy: ClockedModel):
    miss(busy, 30)
    assert route(busy).variant == "only"
    miss(busy, 30)
    with pytest.raises(ShedError):
        route(busy)


def test_a_request_that_may_not_be_refused_is_not_shed(busy: ClockedModel):
    miss(busy, priority=1)
    assert route(busy, refuse_late=False).variant == "only"


def test_a_lateness_that_is_not_due_to_waiting_requests_sheds_none(make_model):
    model = make_model("only", learned_ms={"only": 10.0}, settings=REFUSING)
    held = route(model)
    for _ in range(100):
        with pytest.raises(DeadlineError, match="no variant can answer"):
            route(model, max_latency_ms=15.0, priority=1)
    assert route(model).variant == held.variant == "only"


def test_a_variant_that_is_too_slow_without_a_wait_sheds_none(busy: ClockedModel):
    for _ in range(100):
        with pytest.raises(DeadlineError, match=r"expected in 3.* ms: allow more time, or send less"):
            route(busy, max_latency_ms=5.0, priority=1)
    assert route(busy).variant == "only"


def test_a_dry_run_sheds_none_and_is_not_shed(busy: ClockedModel):
    with pytest.raises(DeadlineError):
        route(busy, max_latency_ms=15.0, priority=1, dry_run=True)
    assert route(busy, dry_run=True).variant == "only"
    miss(busy, priority=1)
    assert route(busy, dry_run=True).variant == "only"


def test_an_answer_that_is_late_after_a_wait_counts_too(busy: ClockedModel):
    waited = route(busy, priority=1, max_latency_ms=30.5)
    busy.at(NOW_S + 0.031).record(waited, latency_ms=31.0)
    with pytest.raises(ShedError):
        route(busy, max_latency_ms=1000.0)


def test_shed_requests_are_counted(busy: ClockedModel):
    miss(busy, priority=1)
    with pytest.raises(ShedError):
        route(busy)
    refusals = busy.metrics().counts.refusals
    assert {reason.value: count for reason, count in refusals.items() if count} == {"deadline": 1, "shed": 1}


def test_priorities_beyond_the_limits_count_as_these(busy: ClockedModel):
    miss(busy, priority=10)
    assert route(busy, priority=10**9).variant == "only"
    with pytest.raises(ShedError, match="requests of priority -10 may wait"):
        route(busy, priority=-(10**9))
