"""Which variants a request tries, one after the other, and until when."""

import pytest

from router_backend.core.records.outcome import Fault, Refusal
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.errors import DeadlineError, InvalidRequestError, NoVariantError, VariantsFailedError
from tests.unit.core.dispatch.host import Host


class TestAttempts:
    def test_a_variant_that_was_tried_is_not_tried_again(self, host: Host):
        dispatch = host.dispatch()
        tried = []
        for _ in range(3):
            tried.append(dispatch.next_attempt())
            tried[-1].failed(Fault.ERROR, "out of memory")
        assert [attempt.variant for attempt in tried] == ["a", "b", "c"]
        assert dispatch.attempts == dispatch.failures == tried
        with pytest.raises(VariantsFailedError):
            dispatch.next_attempt()

    def test_variants_that_the_request_excludes_stay_excluded(self, host: Host):
        dispatch = host.dispatch(excluded_variants=frozenset({"b"}))
        tried = [dispatch.next_attempt() for _ in range(2)]
        assert [attempt.variant for attempt in tried] == ["a", "c"]

    def test_another_request_may_try_what_this_one_has_tried(self, host: Host):
        host.dispatch().next_attempt().failed(Fault.ERROR)
        assert host.dispatch().next_attempt().variant == "a"

    def test_iterating_stops_after_a_success(self, host: Host):
        tried = []
        for attempt in host.dispatch():
            tried.append(attempt.variant)
            if attempt.variant == "b":
                attempt.succeeded(4.0)
            else:
                attempt.failed(Fault.ERROR)
        assert tried == ["a", "b"]

    def test_iterating_stops_after_an_end_without_an_answer(self, host: Host):
        for attempt in host.dispatch():
            attempt.ignored()
        dispatch = host.dispatch()
        for _ in dispatch:
            dispatch.cancel()
        assert host.ends == {"a": (0, 0, 2)}

    def test_iterating_raises_once_when_no_variant_is_left(self, host: Host):
        dispatch = host.dispatch(excluded_variants=frozenset("abc"))
        with pytest.raises(NoVariantError):
            next(dispatch)
        assert list(dispatch) == []

    def test_a_request_that_no_variant_can_serve_is_refused_as_invalid(self, host: Host):
        host.router.register_model("small", variants=[Variant("s", Device.CPU, max_batch_size=4)])
        with pytest.raises(InvalidRequestError, match="a batch of 5 is above the largest"):
            host.router.dispatch("small", RoutingContext(batch_size=5)).next_attempt()

    def test_a_failure_that_is_reported_without_an_error_has_an_empty_message(self, host: Host):
        attempt = host.attempt("a")
        assert (attempt.fault, attempt.message, attempt.status) == (None, "", "INTERNAL")
        attempt.failed(Fault.ERROR)
        assert (attempt.fault, attempt.message, attempt.status) == (Fault.ERROR, "", "INTERNAL")

    def test_an_unknown_model_is_refused_before_any_attempt(self, host: Host):
        with pytest.raises(InvalidRequestError, match="model 'n' is not registered: found m"):
            host.router.dispatch("n", RoutingContext())


class TestDeadline:
    def test_each_attempt_gets_the_rest_of_it(self, host: Host):
        dispatch = host.dispatch(max_latency_ms=100.0, spent_ms=5.0)
        left_ms = []
        for _ in range(3):
            attempt = dispatch.next_attempt()
            left_ms.append(attempt.decision.deadline_ms)
            host.clock.now_s += 0.04
            attempt.failed(Fault.ERROR)
        assert left_ms == pytest.approx([95.0, 55.0, 15.0])

    def test_that_of_the_model_applies_to_the_whole_request_too(self):
        host = Host(ModelSettings(max_latency_ms=50.0))
        dispatch = host.dispatch(spent_ms=10.0)
        assert dispatch.next_attempt().decision.deadline_ms == pytest.approx(40.0)
        host.clock.now_s += 0.03
        assert dispatch.next_attempt().decision.deadline_ms == pytest.approx(10.0)

    def test_a_clock_that_jumps_back_does_not_extend_it(self, host: Host):
        dispatch = host.dispatch(max_latency_ms=100.0)
        dispatch.next_attempt().failed(Fault.ERROR)
        host.clock.now_s -= 50.0
        assert dispatch.next_attempt().decision.deadline_ms == pytest.approx(100.0)

    def test_a_request_without_one_never_has_one(self, host: Host):
        dispatch = host.dispatch()
        host.clock.now_s += 10.0
        assert [dispatch.next_attempt().decision.deadline_ms for _ in range(2)] == [None, None]

    def test_a_miss_is_counted_by_the_time_left_for_the_attempt(self, host: Host):
        dispatch = host.dispatch(max_latency_ms=100.0)
        failed = dispatch.next_attempt()
        host.clock.now_s += 0.09
        failed.failed(Fault.ERROR)
        host.answer(dispatch.next_attempt(), 20.0)
        assert (host.counts("a").deadline_misses, host.counts("b").deadline_misses) == (0, 1)

    def test_after_a_failure_a_request_is_refused_if_no_other_variant_would_be_in_time(self):
        host = Host(ModelSettings(refuse_late=True))
        for name in "abc":
            for _ in range(20):
                host.answer(host.attempt(name), 50.0)
        answered = host.ends["a"]
        host.clock.now_s += 100.0
        dispatch = host.dispatch(max_latency_ms=60.0)
        attempt = dispatch.next_attempt()
        host.clock.now_s += 0.04
        attempt.failed(Fault.ERROR, "out of memory")
        with pytest.raises(DeadlineError, match="no variant can answer within 60 ms"):
            dispatch.next_attempt()
        assert host.refusals == {Refusal.DEADLINE: 1}
        assert host.ends["a"] == (answered[0], 0, 1), "nobody answered: the error may be the request's own"
        assert host.in_flight == {}


class TestRetries:
    @pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.REJECTED])
    def test_each_counts_at_the_variant_that_failed(self, host: Host, fault: Fault):
        dispatch = host.dispatch()
        for _ in range(2):
            dispatch.next_attempt().failed(fault)
        host.answer(dispatch.next_attempt(), 4.0)
        assert [host.counts(name).retries for name in "abc"] == [1, 1, 0]

    def test_none_counts_if_no_variant_is_left_or_the_request_is_canceled(self, host: Host):
        exhausted = host.dispatch(allowed_variants=frozenset({"a"}))
        exhausted.next_attempt().failed(Fault.ERROR)
        with pytest.raises(VariantsFailedError):
            exhausted.next_attempt()
        cancelled = host.dispatch()
        cancelled.next_attempt().failed(Fault.ERROR)
        cancelled.cancel()
        assert host.counts("a").retries == 0

    def test_none_counts_at_a_variant_that_has_not_failed(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt()
        dispatch.next_attempt()
        assert host.counts("a").retries == 0


def test_memory_and_power_of_an_answer_are_learned(host: Host):
    attempt = host.attempt("a")
    host.clock.now_s += 0.005
    attempt.succeeded(5.0, memory_mb=100.0, power_w=30.0)
    profile = host.router.model("m").state("a").profile
    assert profile.memory.predict(1.0) == pytest.approx(100.0)
    assert profile.power.predict(1.0) == pytest.approx(30.0)
