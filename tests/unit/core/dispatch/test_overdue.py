"""Attempts that do not end: when they are overdue, what that counts as, and what their late end means."""

import math

import pytest

from router_backend.core.dispatch import Dispatch
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.health import BreakerState
from router_backend.errors import ConfigurationError, NoVariantError, VariantsFailedError
from tests.unit.core.dispatch.host import Host

WRONG = [
    ("overdue_factor", -1.0),
    ("overdue_factor", math.nan),
    ("overdue_min_ms", 0.0),
    ("overdue_max_ms", 0.0),
    ("overdue_unmeasured_ms", math.inf),
]
LONG_MS, SHORT_MS = 1000.0, 100.0


def measured(host: Host, latency_ms: float = 4.0) -> None:
    for name in "abc":
        for _ in range(20):
            host.answer(host.attempt(name), latency_ms)


class TestBound:
    def test_a_variant_that_was_never_measured_has_a_generous_one(self, host: Host):
        assert host.dispatch().next_attempt().bound_ms == 30_000.0

    def test_one_that_is_fast_has_the_lowest_one(self, host: Host):
        measured(host)
        assert host.dispatch().next_attempt().bound_ms == 1000.0

    def test_one_that_is_slow_has_a_multiple_of_the_upper_end_of_its_interval(self, host: Host):
        measured(host, 500.0)
        attempt = host.dispatch().next_attempt()
        upper_ms = attempt.decision.expected_interval_ms[1]
        assert upper_ms > 500.0
        assert attempt.bound_ms == pytest.approx(10.0 * upper_ms)

    def test_a_request_that_is_refused_when_late_moves_at_half_of_its_time(self, host: Host):
        measured(host)
        assert host.dispatch(max_latency_ms=400.0, refuse_late=True).next_attempt().bound_ms == 200.0
        assert host.dispatch(max_latency_ms=400.0).next_attempt().bound_ms == 1000.0

    def test_even_where_the_multiple_would_leave_no_time_for_another_variant(self, host: Host):
        measured(host, 30.0)
        assert host.dispatch(max_latency_ms=400.0, refuse_late=True).next_attempt().bound_ms == 200.0

    def test_but_not_while_it_is_still_expected(self, host: Host):
        measured(host, 150.0)
        attempt = host.dispatch(max_latency_ms=400.0, refuse_late=True).next_attempt()
        assert attempt.bound_ms == pytest.approx(2.0 * attempt.decision.expected_interval_ms[1])
        assert attempt.bound_ms > 300.0

    def test_it_does_not_grow_with_the_age_of_calls_that_were_lost(self, host: Host):
        measured(host)
        lost = [host.attempt("a") for _ in range(4)]
        bounds = []
        for _ in range(3):
            host.clock.now_s += 5.0
            lost.append(host.attempt("a"))
            bounds.append(lost[-1].bound_ms)
        assert lost[-1].decision.expected_latency_ms > 10_000.0
        assert bounds == [1000.0] * 3

    def test_it_does_not_grow_with_predictions_that_lost_calls_make_wrong(self, host: Host):
        measured(host)
        lost = host.attempt("a")
        for _ in range(50):
            host.clock.now_s += 0.5
            attempt = host.attempt("a")
            host.answer(attempt, 4.0)
        assert attempt.decision.half_width > math.log(100.0)
        assert host.attempt("a").bound_ms == 1000.0
        assert lost.is_on_time

    def test_a_queue_that_is_served_counts(self, host: Host):
        measured(host, 100.0)
        waiting = [host.attempt("a") for _ in range(10)]
        assert waiting[-1].bound_ms > 10.0 * 10 * 100.0

    def test_it_has_an_upper_limit(self):
        host = Host(ModelSettings(overdue_max_ms=7000.0))
        measured(host, 1000.0)
        assert host.dispatch().next_attempt().bound_ms == 7000.0

    def test_all_of_it_can_be_set(self):
        settings = ModelSettings(overdue_factor=2.0, overdue_min_ms=1.0, overdue_unmeasured_ms=77.0)
        host = Host(settings)
        unmeasured = host.dispatch().next_attempt()
        assert unmeasured.bound_ms == 77.0
        unmeasured.ignored()
        measured(host, 50.0)
        attempt = host.dispatch().next_attempt()
        assert attempt.bound_ms == pytest.approx(2.0 * attempt.decision.expected_interval_ms[1])

    def test_a_factor_of_0_means_never(self):
        assert Host(ModelSettings(overdue_factor=0.0)).dispatch().next_attempt().bound_ms == math.inf

    @pytest.mark.parametrize(
        "wrong",
        [{name: value} for name, value in WRONG],
    )
    def test_what_means_nothing_is_refused(self, wrong: dict[str, float]):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            ModelSettings(**wrong)


class TestOverdue:
    def test_it_frees_its_place_counts_and_another_variant_may_be_tried(self, host: Host):
        dispatch = host.dispatch()
        stuck = dispatch.next_attempt()
        assert not dispatch.wants_attempt
        stuck.overdue(LONG_MS)
        assert (stuck.fault, stuck.message) == (Fault.OVERDUE, "no answer within 1000 ms")
        assert stuck.is_open
        assert dispatch.wants_attempt
        assert host.in_flight == {}
        assert host.counts("a").faults[Fault.OVERDUE] == 1
        assert dispatch.next_attempt().variant == "b"
        assert host.counts("a").retries == 1
        assert not dispatch.wants_attempt

    def test_a_long_wait_opens_the_breaker_at_once_and_a_short_one_if_it_recurs(self, host: Host):
        host.attempt("a").overdue(LONG_MS)
        assert host.breaker("a") is BreakerState.OPEN
        host.attempt("b").overdue(SHORT_MS)
        assert host.breaker("b") is BreakerState.CLOSED
        host.attempt("b").overdue(SHORT_MS)
        assert host.breaker("b") is BreakerState.OPEN

    def test_it_is_reported_once(self, host: Host):
        attempt = host.attempt("a")
        for _ in range(2):
            attempt.overdue(LONG_MS)
        attempt.ignored()
        assert host.counts("a").faults[Fault.OVERDUE] == 1
        assert host.ends == {"a": (0, 1, 0)}

    def test_after_the_end_it_says_nothing(self, host: Host):
        attempt = host.attempt("a")
        attempt.succeeded(4.0)
        attempt.overdue(LONG_MS)
        assert host.ends == {"a": (1, 0, 0)}

    def test_if_all_are_overdue_the_request_waits_and_is_not_refused(self, host: Host):
        dispatch = host.dispatch()
        for _ in "abc":
            dispatch.next_attempt().overdue(LONG_MS)
        with pytest.raises(NoVariantError):
            dispatch.next_attempt()
        assert not dispatch.has_ended
        assert host.refusals == {}

    def test_if_another_one_failed_it_ends_with_all_errors(self, host: Host):
        dispatch = host.dispatch(excluded_variants=frozenset("c"))
        dispatch.next_attempt().overdue(LONG_MS)
        dispatch.next_attempt().failed(Fault.ERROR, "out of memory")
        with pytest.raises(VariantsFailedError, match=r"a: no answer within 1000 ms; b: out of memory"):
            dispatch.next_attempt()
        assert dispatch.has_ended

    def test_several_that_are_stuck_together_are_one_observation_of_the_law(self, host: Host):
        measured(host)
        stuck = [host.attempt("a") for _ in range(5)]
        for attempt in stuck:
            attempt.overdue(LONG_MS)
        host.clock.now_s += 10.0
        for attempt in stuck:
            attempt.succeeded(12_000.0)
        latency = host.router.model("m").state("a").profile.latency
        assert latency.predict(1.0, host.clock.now_s) == pytest.approx(4.0, rel=0.01)
        assert latency.excess is not None
        assert latency.excess.value == 0.0


def overdue_everywhere(host: Host, names: str = "abc") -> Dispatch:
    """Return a request that none of these variants has answered in time."""
    dispatch = host.dispatch(allowed_variants=frozenset(names))
    for _ in names:
        dispatch.next_attempt().overdue(LONG_MS)
    return dispatch


class TestSecondTime:
    """A request that is overdue everywhere may have been lost: it goes again to a variant that is well."""

    def test_to_a_variant_that_has_answered_another_request_since(self, host: Host):
        dispatch = overdue_everywhere(host)
        host.answer(host.attempt("b"), 4.0)
        attempt = dispatch.next_attempt()
        assert attempt.variant == "b"
        host.answer(attempt, 4.0)
        assert dispatch.has_ended
        assert host.refusals == {}
        assert host.counts("c").retries == 1

    def test_to_one_that_answered_another_request_late(self, host: Host):
        stuck = host.attempt("b")
        stuck.overdue(LONG_MS)
        dispatch = overdue_everywhere(host)
        host.answer(stuck, 4.0)
        assert dispatch.next_attempt().variant == "b"

    def test_to_one_that_was_loaded_again(self, host: Host):
        dispatch = overdue_everywhere(host)
        host.clock.now_s += 1.0
        model = host.router.model("m")
        model.set_ready("c", "not ready")
        model.set_ready("c", None)
        assert dispatch.next_attempt().variant == "c"

    def test_not_because_of_an_answer_from_before(self, host: Host):
        measured(host)
        with pytest.raises(NoVariantError):
            overdue_everywhere(host).next_attempt()

    def test_not_while_there_is_one_that_was_not_tried(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().overdue(LONG_MS)
        host.answer(host.attempt("a"), 4.0)
        assert dispatch.next_attempt().variant == "b"

    def test_not_a_third_time(self, host: Host):
        dispatch = overdue_everywhere(host, "a")
        host.answer(host.attempt("a"), 4.0)
        dispatch.next_attempt().overdue(LONG_MS)
        host.answer(host.attempt("a"), 4.0)
        with pytest.raises(NoVariantError):
            dispatch.next_attempt()
        assert not dispatch.has_ended

    def test_not_to_one_that_has_failed_it(self, host: Host):
        dispatch = overdue_everywhere(host)
        dispatch.attempts[0].failed(Fault.ERROR, "out of memory")
        host.answer(host.attempt("a"), 4.0)
        with pytest.raises(VariantsFailedError):
            dispatch.next_attempt()

    def test_not_if_a_variant_would_count_it_twice(self, host: Host):
        dispatch = overdue_everywhere(host)
        dispatch.repeats = False
        host.answer(host.attempt("a"), 4.0)
        with pytest.raises(NoVariantError):
            dispatch.next_attempt()
        assert not dispatch.has_ended

    def test_a_call_that_was_canceled_in_a_queue_does_not_end_the_request(self, host: Host):
        dispatch = overdue_everywhere(host)
        dispatch.attempts[0].withdrawn()
        with pytest.raises(NoVariantError):
            dispatch.next_attempt()
        assert not dispatch.has_ended
        host.answer(host.attempt("a"), 4.0)
        assert dispatch.next_attempt().variant == "a"


class TestLateEnd:
    def test_the_first_answer_is_the_clients_wherever_it_comes_from(self, host: Host):
        dispatch = host.dispatch()
        stuck = dispatch.next_attempt()
        stuck.overdue(LONG_MS)
        other = dispatch.next_attempt()
        execution = stuck.succeeded(1500.0)
        assert execution is not None
        assert execution.latency_ms == 1500.0
        assert dispatch.has_ended
        other.succeeded(4.0)
        assert host.ends == {"a": (1, 1, 0), "b": (1, 0, 0)}

    def test_an_answer_that_comes_second_is_not_counted(self, host: Host):
        dispatch = host.dispatch()
        stuck = dispatch.next_attempt()
        stuck.overdue(LONG_MS)
        dispatch.next_attempt().succeeded(4.0)
        stuck.succeeded(1500.0)
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}

    def test_an_answer_lets_the_variant_be_tried_at_once(self, host: Host):
        attempt = host.attempt("a")
        attempt.overdue(LONG_MS)
        assert not host.router.model("m").state("a").breaker.allows(host.clock.now_s)
        attempt.succeeded(1500.0)
        assert host.router.model("m").state("a").breaker.allows(host.clock.now_s)

    def test_a_dead_process_is_known_to_be_dead(self, host: Host):
        attempt = host.attempt("a")
        attempt.overdue(LONG_MS)
        attempt.failed(Fault.DEAD, "its process has ended")
        assert host.router.model("m").state("a").breaker.fault is Fault.DEAD
        assert host.counts("a").faults[Fault.DEAD] == 1
        assert attempt.message == "its process has ended"
        assert host.ends == {"a": (0, 1, 1)}

    def test_a_variant_that_is_not_loaded_gets_no_more_requests(self, host: Host):
        attempt = host.attempt("a")
        attempt.overdue(LONG_MS)
        attempt.failed(Fault.NOT_READY)
        assert host.router.model("m").state("a").not_ready_reason is not None

    def test_other_errors_change_nothing(self, host: Host):
        attempt = host.attempt("a")
        attempt.overdue(LONG_MS)
        attempt.failed(Fault.ERROR, "canceled")
        assert host.ends == {"a": (0, 1, 0)}

    def test_the_law_learns_it_from_the_routers_own_requests(self, host: Host):
        measured(host)
        latency = host.router.model("m").state("a").profile.latency
        for _ in range(3):
            host.clock.now_s += 10.0
            attempt = host.attempt("a", warmup=True)
            attempt.overdue(LONG_MS)
            attempt.succeeded(3000.0)
        assert latency.predict(1.0, host.clock.now_s) == pytest.approx(3000.0, rel=0.01)

    def test_of_several_that_were_stuck_together_it_learns_one(self, host: Host):
        measured(host)
        latency = host.router.model("m").state("a").profile.latency
        stuck = []
        for _ in range(5):
            host.clock.now_s += 0.5
            stuck.append(host.attempt("a", warmup=True))
            stuck[-1].overdue(LONG_MS)
        for attempt in stuck:
            attempt.succeeded(3000.0)
        assert latency.predict(1.0, host.clock.now_s) == pytest.approx(4.0, rel=0.01)


class TestWithdrawn:
    def test_it_says_nothing_about_the_variant_and_the_request_goes_on(self, host: Host):
        dispatch = host.dispatch()
        first = dispatch.next_attempt()
        second = dispatch.next_attempt()
        first.withdrawn()
        assert host.in_flight == {second.variant: 1}
        assert not dispatch.has_ended
        second.succeeded(4.0)
        assert host.ends == {first.variant: (0, 0, 1), second.variant: (1, 0, 0)}


class TestLoadedAgain:
    def test_places_from_before_are_void(self, host: Host):
        stuck = [host.attempt("a") for _ in range(3)]
        model = host.router.model("m")
        model.set_ready("a", "not ready")
        model.set_ready("a", None)
        assert host.in_flight == {}
        fresh = host.attempt("a")
        assert host.in_flight == {"a": 1}
        for attempt in stuck:
            attempt.succeeded(4.0)
        assert host.in_flight == {"a": 1}
        fresh.succeeded(4.0)
        assert host.in_flight == {}

    def test_what_was_sent_before_says_nothing_about_it(self, host: Host):
        dead, hung, late = (host.attempt("a") for _ in range(3))
        late.overdue(LONG_MS)
        host.clock.now_s += 1.0
        model = host.router.model("m")
        model.set_ready("a", "not ready")
        model.set_ready("a", None)
        host.attempt("a").succeeded(4.0)
        dead.failed(Fault.DEAD)
        hung.overdue(LONG_MS)
        late.failed(Fault.DEAD)
        assert model.state("a").breaker.closed
        assert host.ends == {"a": (1, 1, 2)}

    def test_a_variant_that_was_kept_out_is_tried_at_once(self, host: Host):
        host.attempt("a").failed(Fault.DEAD)
        model = host.router.model("m")
        model.set_ready("a", "not ready")
        model.set_ready("a", None)
        assert model.state("a").breaker.allows(host.clock.now_s)


class TestProbes:
    """A host that sends copies probes by them: a client is sent to a variant that was ill only later."""

    def test_the_probe_is_a_copy_and_a_client_only_if_there_was_none(self):
        router, clock = probing_router()
        ill = router.dispatch("m", RoutingContext(allowed_variants=frozenset("a"))).next_attempt()
        ill.failed(Fault.DEAD)
        clock[0] += 1.0
        served = router.dispatch("m", RoutingContext())
        attempt = served.next_attempt()
        assert attempt.variant == "b"
        attempt.succeeded(4.0)
        copy = served.copy()
        assert copy is not None
        probe = copy.next_attempt()
        assert probe.variant == "a"
        assert served.copy() is None
        probe.succeeded(4.0)
        assert router.model("m").state("a").breaker.closed

    def test_a_client_is_the_probe_after_two_more_seconds(self):
        router, clock = probing_router()
        only_a = RoutingContext(allowed_variants=frozenset("a"))
        router.dispatch("m", only_a).next_attempt().overdue(LONG_MS)
        state = router.model("m").state("a")
        clock[0] += 0.25
        assert not state.breaker.allows(clock[0])
        assert state.breaker.allows(clock[0], is_own=True)
        clock[0] += 2.0
        assert state.breaker.allows(clock[0])

    def test_a_dead_variant_without_another_one_is_tried_by_a_client_when_a_probe_is_due(self):
        router, clock = probing_router()
        for name in "ab":
            router.dispatch("m", RoutingContext(allowed_variants=frozenset(name))).next_attempt().failed(
                Fault.DEAD
            )
        with pytest.raises(NoVariantError, match="its process has ended"):
            router.dispatch("m", RoutingContext()).next_attempt()
        clock[0] += 1.0
        assert router.dispatch("m", RoutingContext()).next_attempt()


def probing_router() -> tuple[ModelRouter, list[float]]:
    """Return a router whose host sends copies, with two warm variants, and its clock."""
    clock = [1000.0]
    router = ModelRouter(clock=lambda: clock[0], copies=True)
    router.register_model("m", variants=[Variant(name, Device.CPU) for name in "ab"])
    for name in "ab":
        for _ in range(20):
            clock[0] += 0.1
            attempt = router.dispatch("m", RoutingContext(allowed_variants=frozenset(name))).next_attempt()
            clock[0] += 0.004
            attempt.succeeded(4.0)
    return router, clock
