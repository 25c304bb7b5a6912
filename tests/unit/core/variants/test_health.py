import pytest

from router_backend.core.variants.health import Breaker, BreakerState, Fault


def opened(fault: Fault = Fault.ERROR, now_s: float = 100.0) -> Breaker:
    """A breaker that has just opened for the first time."""
    breaker = Breaker()
    for _ in range(2 if fault in (Fault.ERROR, Fault.WRONG_ANSWER) else 1):
        breaker.dispatched()
        breaker.failed(fault, now_s)
    return breaker


def fail_probe(breaker: Breaker, fault: Fault, now_s: float) -> float:
    """Send the probe, let it fail, and return for how long the breaker opens."""
    assert breaker.allows(now_s)
    breaker.dispatched()
    breaker.failed(fault, now_s)
    return breaker.open_until_s - now_s


class TestClosed:
    def test_requests_pass(self):
        breaker = Breaker()
        assert breaker.state is BreakerState.CLOSED
        assert breaker.allows(0.0)

    def test_one_failure_is_not_enough_to_open(self):
        breaker = Breaker()
        breaker.failed(Fault.ERROR, 100.0)
        assert breaker.state is BreakerState.CLOSED
        assert breaker.allows(100.0)

    def test_two_failures_in_a_row_open_it_for_250_ms(self):
        breaker = opened(now_s=100.0)
        assert breaker.state is BreakerState.OPEN
        assert not breaker.allows(100.0)
        assert not breaker.allows(100.249)
        assert breaker.allows(100.25)

    def test_one_wrong_answer_is_not_enough_and_an_error_and_a_wrong_answer_are(self):
        breaker = Breaker()
        breaker.failed(Fault.WRONG_ANSWER, 100.0)
        assert breaker.state is BreakerState.CLOSED
        breaker.failed(Fault.ERROR, 100.0)
        assert breaker.state is BreakerState.OPEN

    def test_wrong_answers_of_requests_sent_before_it_opened_keep_it_open_no_longer(self):
        breaker = opened(Fault.WRONG_ANSWER, now_s=100.0)
        breaker.failed(Fault.WRONG_ANSWER, 100.2)
        assert breaker.allows(100.25)

    def test_a_success_between_two_failures_keeps_it_closed(self):
        breaker = Breaker()
        for _ in range(5):
            breaker.failed(Fault.ERROR, 100.0)
            breaker.succeeded()
        assert breaker.state is BreakerState.CLOSED

    def test_an_ignored_end_does_not_interrupt_a_run_of_failures(self):
        breaker = Breaker()
        breaker.failed(Fault.ERROR, 100.0)
        breaker.ignored()
        breaker.failed(Fault.ERROR, 100.0)
        assert breaker.state is BreakerState.OPEN

    def test_a_dead_process_opens_it_at_once_for_five_seconds(self):
        breaker = opened(Fault.DEAD, now_s=100.0)
        assert not breaker.allows(104.99)
        assert breaker.allows(105.0)


class TestHalfOpen:
    def test_one_request_alone_passes_as_the_probe(self):
        breaker = opened(now_s=100.0)
        breaker.dispatched()
        assert breaker.state is BreakerState.HALF_OPEN
        assert not breaker.allows(100.3)
        assert not breaker.allows(1000.0)

    def test_a_probe_that_succeeds_closes_it(self):
        breaker = opened(now_s=100.0)
        breaker.dispatched()
        breaker.succeeded()
        assert breaker.state is BreakerState.CLOSED
        assert breaker.allows(100.3)

    def test_an_ignored_probe_lets_another_one_pass(self):
        breaker = opened(now_s=100.0)
        breaker.dispatched()
        breaker.ignored()
        assert breaker.allows(100.3)
        breaker.dispatched()
        assert not breaker.allows(100.3)

    def test_the_open_time_grows_by_half_up_to_one_second(self):
        breaker, now_s, open_times_s = opened(now_s=100.0), 100.0, []
        for _ in range(6):
            now_s += 2.0
            open_times_s.append(fail_probe(breaker, Fault.ERROR, now_s))
        assert open_times_s == pytest.approx([0.375, 0.5625, 0.84375, 1.0, 1.0, 1.0])

    def test_the_open_time_of_a_dead_process_doubles_up_to_one_minute(self):
        breaker, now_s, open_times_s = opened(Fault.DEAD, now_s=100.0), 100.0, []
        for _ in range(6):
            now_s += 100.0
            open_times_s.append(fail_probe(breaker, Fault.DEAD, now_s))
        assert open_times_s == pytest.approx([10.0, 20.0, 40.0, 60.0, 60.0, 60.0])

    def test_after_a_recovery_the_open_time_starts_over(self):
        breaker = opened(now_s=100.0)
        fail_probe(breaker, Fault.ERROR, 101.0)
        breaker.succeeded()
        breaker.failed(Fault.ERROR, 103.0)
        assert breaker.allows(103.0)
        breaker.failed(Fault.ERROR, 103.0)
        assert breaker.open_until_s == pytest.approx(103.25)

    def test_a_failing_variant_whose_process_has_ended_is_kept_out_for_five_seconds(self):
        breaker = opened(now_s=100.0)
        assert fail_probe(breaker, Fault.DEAD, 101.0) == pytest.approx(5.0)

    def test_a_restarted_process_that_fails_is_kept_out_like_any_failing_one(self):
        breaker = opened(Fault.DEAD, now_s=100.0)
        assert fail_probe(breaker, Fault.ERROR, 200.0) == pytest.approx(0.25)


class TestRequestsSentBeforeItOpened:
    @pytest.mark.parametrize("fault", [Fault.ERROR, Fault.DEAD])
    def test_their_failures_do_not_make_it_longer(self, fault):
        breaker = opened(fault, now_s=100.0)
        until_s = breaker.open_until_s
        for _ in range(20):
            breaker.failed(fault, 100.1)
        assert breaker.open_until_s == until_s
        grown_s = fail_probe(breaker, fault, 200.0)
        assert grown_s == pytest.approx(0.375 if fault is Fault.ERROR else 10.0)

    def test_a_death_among_them_counts(self):
        breaker = opened(Fault.ERROR, now_s=100.0)
        breaker.failed(Fault.DEAD, 100.1)
        assert breaker.fault is Fault.DEAD
        assert breaker.open_until_s == pytest.approx(105.1)

    def test_their_errors_do_not_make_a_dead_process_available(self):
        breaker = opened(Fault.DEAD, now_s=100.0)
        breaker.failed(Fault.ERROR, 100.1)
        assert breaker.fault is Fault.DEAD
        assert breaker.open_until_s == pytest.approx(105.0)
