from pathlib import Path

from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.runtime.readiness import Readiness
from tests.unit.runtime.routers import router_of


def test_variants_that_are_missing_are_looked_for_until_they_are_loaded(tmp_path: Path) -> None:
    setup, router = router_of(tmp_path)
    loaded = {"a"}
    readiness = Readiness(setup, router, loaded.__contains__)
    assert readiness.look() == ["a"]
    assert router.model("m").state("a").not_ready_reason is None
    assert router.model("m").state("b").not_ready_reason == "not ready: Triton has not loaded it"
    assert readiness.look() == []
    loaded.add("b")
    assert readiness.look() == ["b"]
    assert router.model("m").state("b").not_ready_reason is None
    assert not readiness.due()


def test_a_variant_that_a_call_found_missing_is_looked_for_again(tmp_path: Path) -> None:
    setup, router = router_of(tmp_path, readiness_interval_ms="1")
    readiness = Readiness(setup, router, lambda _: True)
    assert readiness.look() == ["a", "b"]
    for fault in (Fault.ERROR, Fault.NOT_READY):
        attempt = router.dispatch("m", RoutingContext(allowed_variants=frozenset({"a"}))).next_attempt()
        attempt.failed(fault)
        readiness.failed("a", fault)
        assert readiness.due() == (fault is Fault.NOT_READY)
    assert readiness.look() == ["a"]


def test_a_look_is_due_once_per_interval(tmp_path: Path) -> None:
    setup, router = router_of(tmp_path, readiness_interval_ms="60000")
    readiness = Readiness(setup, router, lambda _: False)
    assert [readiness.due() for _ in range(3)] == [True, False, False]
