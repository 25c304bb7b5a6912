import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.policies.exploration import chance, expected_improvement
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.candidates import candidate_of


def candidate(
    cost: float, relative_sd: float = 0.0, *, service_ms: float | None = None, failures: float = 0.0
) -> Candidate:
    """Return a candidate whose cost is all service time, unless that is given."""
    made = candidate_of("any", cost if service_ms is None else service_ms, relative_sd=relative_sd)
    made.cost, made.failure_share, made.trial_share = cost, failures, 0.1 if failures else 0.0
    return made


def chance_of(cost: float, relative_sd: float = 0.0, *, best: float = 10.0, usual: float = 10.0) -> float:
    """Return the chance of a candidate beside a well known best one."""
    return chance(candidate(cost, relative_sd), candidate(best), usual)


def integrated(z: float) -> float:
    """Return E[max(0, x - z)] of a standard normal x, by the trapezoidal rule."""
    steps = [z + 0.001 * number for number in range(20_000)]
    return sum((x - z) * math.exp(-0.5 * x * x) for x in steps) * 0.001 / math.sqrt(2.0 * math.pi)


class TestExpectedImprovement:
    @pytest.mark.parametrize("z", [-3.0, -1.0, 0.0, 0.5, 1.0, 2.0, 4.0])
    def test_is_what_a_normal_number_exceeds_z_by(self, z):
        assert expected_improvement(z) == pytest.approx(integrated(z), rel=1e-3, abs=1e-6)

    @given(st.floats(-8.0, 8.0))
    def test_what_it_exceeds_and_falls_short_by_differ_by_z(self, z):
        assert expected_improvement(-z) - expected_improvement(z) == pytest.approx(z, abs=1e-9)


class TestChance:
    @pytest.mark.parametrize(("cost", "relative_sd"), [(10.5, 0.1), (11.0, 0.2), (15.0, 0.2), (10.1, 0.02)])
    def test_a_quarter_of_the_expected_saving_is_spent(self, cost, relative_sd):
        excess = cost / 10.0 - 1.0
        saving = relative_sd * integrated(math.log(cost / 10.0) / relative_sd)
        assert chance_of(cost, relative_sd) == pytest.approx(min(0.25 * saving / excess, 0.5), rel=1e-3)

    def test_the_doubts_about_both_add_up(self):
        one = chance(candidate(11.0, 0.12), candidate(10.0, 0.16), 10.0)
        assert one == pytest.approx(chance_of(11.0, 0.2))
        other = chance(candidate(11.0), candidate(10.0, 0.2), 10.0)
        assert other == pytest.approx(chance_of(11.0, 0.2))

    def test_only_the_service_time_is_in_doubt(self):
        """Of a cost of 11 ms, 5.5 ms are a wait: half of the doubt is left."""
        waiting = chance(candidate(11.0, 0.2, service_ms=5.5), candidate(10.0), 10.0)
        assert waiting == pytest.approx(chance_of(11.0, 0.1))

    def test_a_weight_does_not_enlarge_the_doubt(self):
        weighted = chance(candidate(11.0, 0.2, service_ms=44.0), candidate(10.0), 10.0)
        assert weighted == pytest.approx(chance_of(11.0, 0.2))

    def test_nothing_is_spent_on_what_is_certainly_worse(self):
        assert chance_of(11.0) == 0.0
        assert chance_of(11.0, 0.01) < 1e-20

    @pytest.mark.parametrize(("variance", "share"), [(0.05, 0.0), (0.25, 0.0006), (1.0, 0.00285)])
    def test_a_long_unseen_one_is_tried_at_a_small_cost_however_slow_it_seems(self, variance, share):
        """0.3 % of the best cost for each unit of variance above 0.05."""
        assert chance_of(10_000.0, math.sqrt(variance)) == pytest.approx(share / 999.0)

    def test_equals_are_drawn_like_the_best(self):
        assert chance_of(10.0) == chance_of(10.0, 0.5) == 0.5

    def test_one_that_is_almost_equal_is_drawn_no_more_often(self):
        assert chance_of(10.0 + 1e-12, 0.2) == 0.5
        assert chance_of(10.1, 0.2) == 0.5

    @pytest.mark.parametrize("usual", [1.0, 10.0, 40.0])
    def test_requests_that_cost_less_than_usual_try_more(self, usual):
        """What is spent is a share of the usual cost, and a request that is twice as small costs half."""
        assert chance_of(15.0, 0.2, usual=usual) == pytest.approx(chance_of(15.0, 0.2) * usual / 10.0)

    @pytest.mark.parametrize(("cost", "expected"), [(0.0, 0.5), (-1.0, 0.5), (1e-9, 0.0), (5.0, 0.0)])
    def test_beside_a_best_one_that_costs_nothing_only_equals_are_drawn(self, cost, expected):
        assert chance(candidate(cost, 0.5), candidate(0.0), 10.0) == expected

    def test_only_equals_are_drawn_if_costs_are_negative(self):
        assert chance(candidate(-2.0, 0.5), candidate(-2.0), 10.0) == 0.5
        assert chance(candidate(-1.0, 0.5), candidate(-2.0), 10.0) == 0.0

    @given(
        cost=st.floats(1e-3, 1e6),
        best=st.floats(1e-3, 1e6),
        relative_sd=st.floats(0.0, 1.0),
        usual=st.floats(0.0, 1e6),
        failures=st.floats(0.0, 0.99),
    )
    def test_is_a_probability_of_at_most_one_half(self, cost, best, relative_sd, usual, failures):
        low, high = sorted((cost, best))
        drawn = chance(candidate(high, relative_sd, failures=failures), candidate(low, relative_sd), usual)
        assert 0.0 <= drawn <= 0.5

    @given(st.floats(10.0, 60.0), st.floats(0.0, 20.0), st.floats(0.0, 1.0))
    def test_the_worse_a_candidate_seems_the_less_often_it_is_tried(self, cost, more, relative_sd):
        assert chance_of(cost + more, relative_sd) <= chance_of(cost, relative_sd) + 1e-12

    @given(st.floats(10.0, 60.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
    def test_the_more_it_is_in_doubt_the_more_often_it_is_tried(self, cost, relative_sd, more):
        assert chance_of(cost, relative_sd) <= chance_of(cost, min(relative_sd + more, 1.0)) + 1e-12

    @given(st.floats(10.1, 1e4), st.floats(0.0, 1.0))
    def test_the_cost_of_trying_one_is_bounded(self, cost, relative_sd):
        """In expectation, by a quarter of s·φ(0) and 0.3 % of the best cost."""
        lost = chance_of(cost, relative_sd) * (cost / 10.0 - 1.0)
        assert lost <= 0.25 * relative_sd * 0.3990 + 0.003


class TestTrials:
    """One that would be best if it did not fail is tried with its trial share, here a tenth."""

    @pytest.mark.parametrize(
        ("cost", "failures", "expected"),
        [(11.0, 0.2, 0.1), (11.9, 0.2, 0.1), (12.1, 0.2, 0.0), (14.0, 0.2, 0.0), (14.0, 0.5, 0.1)],
    )
    def test_one_that_would_be_best_without_its_failures_is_tried(self, cost, failures, expected):
        assert chance(candidate(cost, failures=failures), candidate(10.0), 10.0) == expected

    @pytest.mark.parametrize(("cost", "expected"), [(14.0, 0.1), (19.9, 0.1), (20.1, 0.0)])
    def test_so_is_one_that_would_be_best_without_its_rare_slow_answers(self, cost, expected):
        """These add 2.5 times the 4 ms of its service."""
        slow = candidate(cost, service_ms=4.0)
        slow.excess, slow.excess_trial_share = 2.5, 0.1
        assert chance(slow, candidate(10.0), 10.0) == expected

    def test_its_doubt_can_ask_for_more(self):
        doubted = chance(candidate(10.5, 0.2, failures=0.2), candidate(10.0), 10.0)
        assert doubted == chance_of(10.5, 0.2) > 0.1

    def test_one_that_does_not_fail_has_no_trial(self):
        idle = candidate(10.5)
        idle.trial_share = 0.1
        assert chance(idle, candidate(10.0), 10.0) == 0.0
