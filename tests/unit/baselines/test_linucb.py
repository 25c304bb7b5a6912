import math

import pytest

from router_backend.baselines.linucb import DiscountedRidge, LinUcbPolicy
from tests.unit.baselines.replicas import answer, choose, holding

ALPHA = 1 + math.sqrt(math.log(40) / 2)


class TestDiscountedRidge:
    def test_before_any_answer_the_width_is_the_length_of_the_features(self):
        assert DiscountedRidge(2).predict([3.0, 4.0]) == (0.0, 5.0)

    def test_one_answer_is_shrunk_by_the_ridge(self):
        """V = I + φφᵀ, so V⁻¹φ = φ/(1 + φᵀφ); here φᵀφ = 25."""
        ridge = DiscountedRidge(2)
        ridge.update([3.0, 4.0], 52.0)
        estimate, width = ridge.predict([3.0, 4.0])
        assert estimate == pytest.approx(52.0 * 25 / 26)
        assert width == pytest.approx(math.sqrt(25 / 26))

    def test_a_linear_law_is_found(self):
        ridge = DiscountedRidge(3)
        for i in range(3000):
            x, n = 1.0 + i % 7, float(i % 4)
            ridge.forget()
            ridge.update([1.0, x, n], 5.0 + 2.0 * x + 8.0 * n)
        assert ridge.predict([1.0, 20.0, 2.0])[0] == pytest.approx(61.0, abs=0.3)

    def test_what_is_forgotten_weighs_less_and_the_ridge_does_not(self):
        """After a round b = γ·y and V = γ(1 + 1) + 1 - γ in one dimension, Ṽ the same with γ²."""
        ridge = DiscountedRidge(1)
        ridge.update([1.0], 10.0)
        ridge.forget()
        estimate, width = ridge.predict([1.0])
        assert estimate == pytest.approx(0.998 * 10.0 / 1.998)
        assert width == pytest.approx(math.sqrt(1 + 0.998**2) / 1.998)

    def test_in_the_end_it_forgets_all(self):
        ridge = DiscountedRidge(2)
        ridge.update([3.0, 4.0], 52.0)
        for _ in range(30_000):
            ridge.forget()
        assert ridge.predict([3.0, 4.0]) == pytest.approx((0.0, 5.0))


def test_the_cost_is_the_estimate_less_its_width_in_units_of_the_errors():
    """One answer of 12 ms where 0 was estimated: σ = 12, φ = (1, 1, 0), φᵀφ = 2."""
    policy, known, unknown = LinUcbPolicy(), holding("known"), holding("unknown")
    answer(policy, known, 12.0)
    assert choose(policy, known, unknown)[0] is unknown
    assert known.cost == pytest.approx(12.0 * 2 / 3 - ALPHA * 12.0 * math.sqrt(2 / 3))
    assert unknown.cost == pytest.approx(-ALPHA * 12.0 * math.sqrt(2))


def test_the_errors_are_forgotten_too():
    """The second answer is the 8 ms that was estimated: σ² = γ·12²/(γ + 1)."""
    policy, known, unknown = LinUcbPolicy(), holding("known"), holding("unknown")
    answer(policy, known, 12.0)
    answer(policy, known, 8.0)
    choose(policy, unknown)
    assert unknown.cost == pytest.approx(-ALPHA * 12.0 * math.sqrt(2 * 0.998 / 1.998))


def test_it_learns_which_variant_is_better_for_which_size():
    """One has the lower base, the other the lower slope."""
    policy, small, large = LinUcbPolicy(), holding("small"), holding("large")
    for i in range(600):
        x = 1.0 + i % 16
        answer(policy, small, 1.0 + 3.0 * x, size=x)
        answer(policy, large, 25.0 + 1.0 * x, size=x)
    assert choose(policy, small, large, size=2)[0] is small
    assert choose(policy, small, large, size=30)[0] is large


def test_it_learns_what_a_queue_costs():
    policy, a, b = LinUcbPolicy(), holding("a"), holding("b")
    for _ in range(300):
        for candidate in (a, b):
            for candidate.in_flight, latency_ms in ((0, 10.0), (1, 19.0)):
                answer(policy, candidate, latency_ms)
    a.in_flight, b.in_flight = 1, 0
    assert choose(policy, a, b)[0] is b


def test_it_follows_a_drift_though_the_mean_of_all_its_latencies_is_still_the_lesser():
    policy, drifting, steady = LinUcbPolicy(), holding("drifting"), holding("steady")
    for requests, drifting_ms, expected in ((3000, 10.0, drifting), (800, 90.0, steady)):
        for i in range(requests):
            size = 1.0 + i % 5
            answer(policy, drifting, drifting_ms, size=size)
            answer(policy, steady, 30.0, size=size)
        assert choose(policy, drifting, steady, size=3)[0] is expected
