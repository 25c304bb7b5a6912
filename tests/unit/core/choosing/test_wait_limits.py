"""How long requests may wait under overload."""

import math

import pytest

from router_backend.core.choosing.wait_limits import WaitLimits

NOW_S = 100.0


def after_misses(count: int, priority: int = 0, *, every_s: float = 1.0) -> WaitLimits:
    """Limits after requests that were late because of a wait of 50 ms; each takes 10 ms."""
    limits = WaitLimits()
    for number in range(count):
        limits.missed(priority, 50.0, 10.0, NOW_S + every_s * number)
    return limits


def test_at_first_there_is_none():
    limits = WaitLimits()
    limits.met(0, NOW_S)
    assert limits.limit_ms(0, NOW_S) == math.inf


def test_one_late_request_limits_its_own_priority_to_twice_its_wait_and_lower_ones_to_less_than_it():
    limits = after_misses(1)
    assert limits.limit_ms(0, NOW_S) == pytest.approx(100.0, rel=0.03)
    assert limits.limit_ms(-1, NOW_S) == pytest.approx(45.0)
    assert limits.limit_ms(1, NOW_S) == math.inf


def test_the_limit_of_a_priority_falls_with_its_late_requests_and_grows_with_those_that_it_refuses():
    limits = after_misses(100)
    low_ms = limits.limit_ms(0, NOW_S)
    assert low_ms < 20.0
    for _ in range(100):
        limits.refuses(0, 10.0)
    assert limits.limit_ms(0, NOW_S) == pytest.approx(100.0)


def test_a_long_request_counts_less_than_a_short_one():
    limits = after_misses(10)
    before_ms = limits.limit_ms(0, NOW_S)
    limits.missed(0, 50.0, 1000.0, NOW_S)
    assert limits.limit_ms(0, NOW_S) == pytest.approx(before_ms, rel=0.01)
    limits.missed(0, 50.0, 5.0, NOW_S)
    assert limits.limit_ms(0, NOW_S) < 0.95 * before_ms


def test_what_lower_ones_may_wait_falls_once_in_the_time_that_a_queue_takes_to_become_shorter():
    assert after_misses(10, every_s=0.004).limit_ms(-1, NOW_S) == pytest.approx(45.0)
    assert after_misses(10, every_s=0.06).limit_ms(-1, NOW_S) == pytest.approx(50.0 * 0.9**10)


def test_what_lower_ones_may_wait_grows_slowly_with_requests_in_time():
    limits = after_misses(1)
    for _ in range(500):
        limits.met(0, NOW_S)
    assert limits.limit_ms(-1, NOW_S) == pytest.approx(50.0, rel=0.01), "one in 500 may be late"


def test_the_strictest_of_the_higher_priorities_counts_while_there_are_such_requests():
    limits = after_misses(1, priority=1)
    limits.missed(5, 8.0, 10.0, NOW_S)
    assert limits.limit_ms(3, NOW_S) == pytest.approx(7.2)
    assert limits.limit_ms(0, NOW_S) == pytest.approx(7.2)
    assert limits.limit_ms(0, NOW_S + 9.0) == pytest.approx(7.2)
    limits.met(1, NOW_S + 9.0)
    assert limits.limit_ms(0, NOW_S + 11.0) == pytest.approx(45.0, rel=0.01)
    assert limits.limit_ms(0, NOW_S + 30.0) == math.inf


def test_one_in_twenty_is_let_through_so_that_none_starves():
    limits = after_misses(1)
    refused = [limits.refuses(-1, 10.0) for _ in range(100)]
    assert refused.count(False) == 5
