"""A slow request goes to a second variant as well: when, how often, and what the ends of both mean."""

import math

import pytest

from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.health import BreakerState
from tests.unit.core.dispatch.host import Host

HEDGES = ModelSettings(hedge=True, hedge_share=0.5)


def measured(settings: ModelSettings = HEDGES) -> Host:
    """Return a host whose variants answer in 10 ms, and that has saved up for second copies."""
    host = Host(settings)
    for _ in range(30):
        for name in "abc":
            host.answer(host.attempt(name), 10.0)
    host.policy.observed.clear()
    return host


@pytest.fixture
def host() -> Host:
    return measured()


def hedged(host: Host) -> tuple[Dispatch, Attempt, Attempt]:
    """Return a request with both attempts, the second sent when the first counts as slow."""
    dispatch = host.dispatch()
    first = dispatch.next_attempt()
    host.clock.now_s += first.hedge_ms / 1e3
    second = dispatch.send_hedge()
    assert second is not None
    return dispatch, first, second


class TestWhen:
    def test_after_the_upper_end_of_the_prediction_interval(self, host: Host):
        attempt = host.dispatch().next_attempt()
        _, most_ms = attempt.decision.expected_interval_ms
        assert attempt.hedge_ms == pytest.approx(most_ms, rel=0.1)

    def test_never_unless_it_is_wanted(self):
        host = measured(ModelSettings())
        assert host.dispatch().next_attempt().hedge_ms == math.inf
        assert host.dispatch(hedge=True).next_attempt().hedge_ms < math.inf

    def test_never_if_the_request_does_not_want_it(self, host: Host):
        assert host.dispatch(hedge=False).next_attempt().hedge_ms == math.inf

    def test_never_before_the_variant_was_measured(self):
        assert Host(HEDGES).dispatch().next_attempt().hedge_ms == math.inf

    @pytest.mark.parametrize("kind", ["warmup", "dry_run"])
    def test_never_for_requests_that_no_client_waits_for(self, host: Host, kind: str):
        assert host.dispatch(**{kind: True}).next_attempt().hedge_ms == math.inf

    def test_not_after_a_failure_which_is_retried_anyway(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        assert dispatch.send_hedge() is None
        retry = dispatch.next_attempt()
        assert retry.hedge_ms == math.inf
        assert dispatch.send_hedge() is None

    def test_not_after_the_end(self, host: Host):
        dispatch = host.dispatch()
        host.answer(dispatch.next_attempt(), 10.0)
        assert dispatch.send_hedge() is None

    def test_once(self, host: Host):
        dispatch, first, second = hedged(host)
        assert dispatch.send_hedge() is None
        assert first.hedge_ms == second.hedge_ms == math.inf


class TestWhere:
    def test_at_another_variant_that_is_idle(self, host: Host):
        _, first, second = hedged(host)
        assert (first.variant, second.variant) == ("a", "b")

    def test_nowhere_while_all_others_are_busy_but_later(self, host: Host):
        busy = [host.attempt(name) for name in "bc"]
        dispatch = host.dispatch()
        first = dispatch.next_attempt()
        before_ms = first.hedge_ms
        assert dispatch.send_hedge() is None
        assert first.hedge_ms == 2.0 * before_ms
        assert host.in_flight == {"a": 1, "b": 1, "c": 1}
        host.answer(busy[0], 10.0)
        second = dispatch.send_hedge()
        assert second is not None
        assert second.variant == "b"

    def test_nowhere_if_the_request_allows_no_other(self, host: Host):
        dispatch = host.dispatch(allowed_variants=frozenset("a"))
        dispatch.next_attempt()
        assert dispatch.send_hedge() is None
        assert host.refusals == {}


class TestBudget:
    def test_copies_add_no_more_than_the_share(self):
        host = measured(ModelSettings(hedge=True, hedge_share=0.05))
        sent = 0
        for _ in range(1000):
            dispatch = host.dispatch()
            first = dispatch.next_attempt()
            host.clock.now_s += 1.0
            second = dispatch.send_hedge()
            sent += second is not None
            first.succeeded(10.0)
            if second is not None:
                second.failed(Fault.ERROR)
        assert 40 <= sent <= 50 + 11

    def test_the_less_is_left_the_longer_a_request_is_given(self, host: Host):
        given = []
        for _ in range(3):
            _, first, second = hedged(host)
            given.append(second.decision.now_s - first.decision.now_s)
            host.answer(second, 10.0)
            first.ignored()
        assert given == sorted(given)
        assert given[0] < given[-1]

    def test_without_a_share_there_is_none(self):
        host = measured(ModelSettings(hedge=True, hedge_share=0.0))
        dispatch = host.dispatch()
        dispatch.next_attempt()
        assert dispatch.send_hedge() is None


class TestEnds:
    def test_the_second_answer_wins_and_the_first_attempt_says_nothing(self, host: Host):
        before = host.router.model("m").state("a").answers
        dispatch, first, second = hedged(host)
        assert host.answer(second, 10.0) is not None
        assert dispatch.has_ended
        assert host.in_flight == {"a": 1}
        assert host.answer(first, 500.0) is None
        assert host.in_flight == {}
        state = host.router.model("m").state("a")
        assert (state.answers, state.failures, host.breaker("a")) == (before, 0, BreakerState.CLOSED)
        assert [(each.variant, each.outcome) for each in host.policy.observed] == [
            ("b", Outcome.SUCCESS),
            ("a", Outcome.IGNORED),
        ]
        assert (host.counts("b").hedges, host.counts("b").hedges_won) == (1, 1)

    def test_the_first_answer_may_still_win(self, host: Host):
        _, first, second = hedged(host)
        host.answer(first, 5.0)
        second.failed(Fault.ERROR, "canceled")
        assert host.ends["b"] == (30, 0, 1)
        assert (host.counts("b").hedges, host.counts("b").hedges_won) == (1, 0)

    def test_a_failure_of_one_leaves_the_request_to_the_other(self, host: Host):
        dispatch, first, second = hedged(host)
        first.failed(Fault.ERROR, "out of memory")
        assert not dispatch.wants_attempt
        host.answer(second, 10.0)
        assert host.ends["a"] == (30, 1, 0)

    def test_if_both_fail_a_third_variant_is_tried(self, host: Host):
        dispatch, first, second = hedged(host)
        second.failed(Fault.ERROR)
        first.failed(Fault.ERROR)
        assert dispatch.wants_attempt
        third = dispatch.next_attempt()
        assert third.variant == "c"
        host.answer(third, 10.0)
        assert (host.ends["a"], host.ends["b"]) == ((30, 1, 0), (30, 1, 0))

    def test_a_dead_process_counts_even_after_the_answer(self, host: Host):
        _, first, second = hedged(host)
        host.answer(second, 10.0)
        first.failed(Fault.DEAD)
        assert host.breaker("a") is BreakerState.OPEN

    def test_a_loser_that_is_canceled_before_the_winner_is_reported_says_nothing(self, host: Host):
        dispatch, first, second = hedged(host)
        first.withdrawn()
        assert not dispatch.wants_attempt
        host.answer(second, 10.0)
        assert host.ends["a"] == (30, 0, 1)

    def test_a_cancellation_frees_both_places(self, host: Host):
        dispatch, _, _ = hedged(host)
        dispatch.cancel()
        assert host.in_flight == {}

    def test_what_is_said_of_it(self, host: Host):
        dispatch, first, second = hedged(host)
        assert dispatch.hedge == (first.decision, second.decision, pytest.approx(first_ms(first, second)))


def first_ms(first: Attempt, second: Attempt) -> float:
    return (second.decision.now_s - first.decision.now_s) * 1e3


class TestExperiments:
    def test_the_arm_of_the_first_choice_counts_the_time_until_the_answer_once(self):
        host = measured()
        host.router.enable_ab_testing("new", "latency", "p2c", 0.5)
        dispatch = host.dispatch(unit="user")
        first = dispatch.next_attempt()
        arm = first.decision.arm
        host.clock.now_s += 0.03
        second = dispatch.send_hedge()
        assert arm is not None
        assert second is not None
        assert second.decision.arm is None
        host.answer(second, 10.0)
        first.failed(Fault.ERROR)
        counts = host.router.get_metrics().get_model_metrics("m").counts.arms
        assert list(counts.values()) == [{Outcome.SUCCESS: 1, Outcome.FAILURE: 0, Outcome.IGNORED: 0}]
        report = host.router.experiments.reports()["new"].models["m"]
        (mean_ms,) = filter(None, (report.control.mean_latency_ms, report.treatment.mean_latency_ms))
        assert mean_ms == pytest.approx(40.0)
