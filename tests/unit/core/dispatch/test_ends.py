"""How requests end that nobody waits for, and attempts whose end is reported late, twice or never."""

import gc
from contextlib import suppress

import pytest

from router_backend.core.experiments.experiment import Experiment
from router_backend.core.records.outcome import Fault
from router_backend.core.telemetry.counters import VariantCounts
from router_backend.core.variants.health import BreakerState
from router_backend.errors import NoVariantError
from tests.unit.core.dispatch.host import Host


class TestLaterReports:
    """Only the first report of an attempt's end counts."""

    def test_of_a_success_do_nothing(self, host: Host):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        assert host.answer(attempt, 4.0) is not None
        assert host.answer(attempt, 900.0) is None
        attempt.failed(Fault.DEAD, "too late")
        attempt.ignored()
        dispatch.cancel()
        assert host.ends == {"a": (1, 0, 0)}
        assert (attempt.fault, attempt.message, dispatch.failures) == (None, "", [])
        assert host.counts("a").latency_ms == 4.0
        assert len(host.policy.observed) == 1

    def test_of_an_error_do_nothing(self, host: Host):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        attempt.failed(Fault.ERROR, "out of memory")
        attempt.failed(Fault.ERROR, "again")
        attempt.failed(Fault.DEAD, "dead")
        assert host.answer(attempt, 4.0) is None
        assert (attempt.fault, attempt.message) == (Fault.ERROR, "out of memory")
        assert host.ends == {}
        host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}

    @pytest.mark.parametrize("fault", list(Fault))
    def test_of_a_failure_after_a_cancellation_do_nothing(self, host: Host, fault: Fault):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        dispatch.cancel()
        attempt.failed(fault, "too late")
        assert host.ends == {"a": (0, 0, 1)}
        assert dispatch.failures == []
        assert host.breaker("a") is BreakerState.CLOSED
        assert host.dispatch().next_attempt().variant == "a"

    def test_of_a_success_after_a_cancellation_do_nothing(self, host: Host):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        dispatch.cancel()
        assert host.answer(attempt, 4.0) is None
        assert host.ends == {"a": (0, 0, 1)}

    def test_of_a_cancellation_do_nothing(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        dispatch.next_attempt()
        for _ in range(2):
            dispatch.cancel()
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}
        assert host.in_flight == {}


def test_a_dry_run_is_counted_neither_in_metrics_nor_in_an_experiment(host: Host):
    host.router.experiments.set([Experiment("v2", lambda: host.policy, lambda: host.policy, 0.5)])
    host.attempt("a", dry_run=True).ignored()
    assert host.ends == {}
    assert not host.router.model("m").metrics().counts.arms
    assert host.in_flight == {}


class TestWarmup:
    def test_it_is_learned_from_but_not_counted(self, host: Host):
        host.router.experiments.set([Experiment("v2", lambda: host.policy, lambda: host.policy, 0.5)])
        for _ in range(2):
            host.answer(host.attempt("a", warmup=True), 4.0)
        host.attempt("b", warmup=True).failed(Fault.DEAD)
        retried = host.dispatch(warmup=True)
        retried.next_attempt().failed(Fault.ERROR)
        host.answer(retried.next_attempt(), 4.0)
        with pytest.raises(NoVariantError):
            host.attempt("b", warmup=True)
        assert host.router.model("m").state("a").profile.latency.known
        assert host.breaker("b") is BreakerState.OPEN
        assert (host.ends, host.refusals) == ({}, {})
        assert [host.counts(name) for name in "abc"] == [VariantCounts()] * 3
        assert host.router.get_metrics().get_model_metrics("m").counts.arms == {}
        assert host.router.experiments.report("v2").models["m"].treatment.answers == 0

    def test_the_policy_learns_from_it(self, host: Host):
        execution = host.answer(host.attempt("a", warmup=True), 4.0)
        assert host.policy.observed == [execution]
        assert execution.context.warmup


class TestAbandonedRequest:
    """Its time is up while a variant works on it."""

    def test_an_answer_that_comes_too_late_is_learned_from(self, host: Host):
        for _ in range(2):
            dispatch = host.dispatch()
            attempt = dispatch.next_attempt()
            dispatch.abandon()
            assert (dispatch.has_ended, host.in_flight) == (True, {"a": 1})
            host.answer(attempt, 400.0)
        assert (host.ends, host.in_flight) == ({"a": (2, 0, 0)}, {})
        assert host.router.model("m").state("a").profile.latency.known

    def test_an_error_that_comes_too_late_is_ignored(self, host: Host):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        dispatch.abandon()
        attempt.failed(Fault.ERROR)
        assert (host.ends, host.in_flight) == ({"a": (0, 0, 1)}, {})

    def test_errors_before_it_are_ignored(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        dispatch.next_attempt()
        dispatch.abandon()
        assert host.ends == {"a": (0, 0, 1)}


class TestTwoOpenAttempts:
    """A host may send a request to a second variant when the first takes long."""

    def test_the_first_answer_wins_and_the_other_ends_ignored(self, host: Host):
        dispatch = host.dispatch()
        slow, quick = dispatch.next_attempt(), dispatch.next_attempt()
        assert host.in_flight == {"a": 1, "b": 1}
        host.answer(quick, 4.0)
        slow.ignored()
        assert host.ends == {"a": (0, 0, 1), "b": (1, 0, 0)}
        assert host.in_flight == {}
        assert list(dispatch) == []

    def test_an_error_of_one_counts_at_once_if_the_other_has_answered(self, host: Host):
        dispatch = host.dispatch()
        failing, quick = dispatch.next_attempt(), dispatch.next_attempt()
        host.answer(quick, 4.0)
        failing.failed(Fault.ERROR, "out of memory")
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}

    def test_an_error_waits_for_the_others_answer(self, host: Host):
        dispatch = host.dispatch()
        failing, slow = dispatch.next_attempt(), dispatch.next_attempt()
        failing.failed(Fault.ERROR)
        assert host.ends == {}
        host.answer(slow, 400.0)
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}

    def test_an_error_after_an_end_without_an_answer_is_ignored(self, host: Host):
        dispatch = host.dispatch()
        failing, dropped = dispatch.next_attempt(), dispatch.next_attempt()
        dropped.ignored()
        failing.failed(Fault.ERROR)
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}

    def test_without_a_third_variant_the_open_ones_continue(self, host: Host):
        dispatch = host.dispatch(excluded_variants=frozenset({"c"}))
        slow, failing = dispatch.next_attempt(), dispatch.next_attempt()
        failing.failed(Fault.ERROR)
        with pytest.raises(NoVariantError):
            dispatch.next_attempt()
        assert host.in_flight == {"a": 1}
        host.answer(slow, 400.0)
        assert host.ends == {"a": (1, 0, 0), "b": (0, 1, 0)}

    def test_a_cancellation_ends_both(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt(), dispatch.next_attempt()
        dispatch.cancel()
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}
        assert host.in_flight == {}


def test_dropped_attempts_give_their_places_back(host: Host):
    dispatch = host.dispatch()
    dispatch.next_attempt(), dispatch.next_attempt()
    del dispatch
    gc.collect()
    with suppress(NoVariantError):
        host.dispatch(excluded_variants=frozenset("abc")).next_attempt()
    assert host.in_flight == {}


def test_a_request_whose_end_is_reported_leaves_no_garbage(host: Host):
    def serve() -> None:
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        host.answer(dispatch.next_attempt(), 4.0)

    serve()
    host.policy.observed.clear()
    gc.collect()
    gc.disable()
    try:
        serve()
        host.policy.observed.clear()
        assert gc.collect() == 0
    finally:
        gc.enable()
