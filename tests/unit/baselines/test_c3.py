import pytest

from router_backend.baselines.c3 import C3Policy, Replica
from tests.unit.baselines.replicas import answer, choose, holding


def test_the_averages_take_nine_tenths_of_what_is_new():
    replica = Replica()
    replica.update(latency_ms=10.0, service_ms=4.0, queue=2)
    replica.update(latency_ms=20.0, service_ms=8.0, queue=0)
    assert replica.latency_ms == pytest.approx(0.9 * 20.0 + 0.1 * 9.0)
    assert replica.service_ms == pytest.approx(0.9 * 8.0 + 0.1 * 3.6)
    assert replica.queue == pytest.approx(0.1 * 1.8)


def test_the_rank_is_the_response_time_with_the_cube_of_the_queue():
    """R = 9, 1/μ = 9, q = 0.9 · 2 and q̂ = 1 + 2 + 1.8."""
    policy, replica = C3Policy(), holding("replica", in_flight=2)
    answer(policy, replica, 10.0)
    choose(policy, replica)
    assert replica.cost == pytest.approx(9.0 - 9.0 + 4.8**3 * 9.0)


def test_the_wait_does_not_count_as_service():
    """After 1 s alone, 0.5 of 1.5 s: R = 0.9 · 1.5 + 0.1 · 0.9, 1/μ = 0.9 · 0.5 + 0.1 · 0.9."""
    policy, replica = C3Policy(), holding("replica")
    answer(policy, replica, 1000.0)
    answer(policy, replica, 1500.0, service_ms=500.0)
    replica.in_flight = 1
    choose(policy, replica)
    assert replica.cost == pytest.approx(1440.0 - 540.0 + 2.0**3 * 540.0)


def test_a_long_queue_is_avoided_even_at_a_faster_variant():
    policy, fast, slow = C3Policy(), holding("fast"), holding("slow")
    answer(policy, fast, 10.0)
    answer(policy, slow, 60.0)
    assert choose(policy, fast, slow)[0] is fast
    fast.in_flight = 1
    assert choose(policy, fast, slow)[0] is slow


def test_an_unknown_variant_is_tried():
    policy, known, unknown = C3Policy(), holding("known"), holding("unknown")
    answer(policy, known, 10.0)
    assert choose(policy, known, unknown)[0] is unknown
