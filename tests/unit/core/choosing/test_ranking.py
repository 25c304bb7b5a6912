import math

import pytest

from router_backend.core.choosing.ranking import CandidateReport, Ranking, ScoredCandidate
from router_backend.core.records.basis import Basis
from router_backend.core.records.variant import Device, Variant


def scored(
    name: str,
    service_ms: float,
    *,
    relative_sd: float = 0.0,
    wait_ms: float = 0.0,
    basis: Basis = Basis.MEASURED,
) -> ScoredCandidate:
    """Return a ranked candidate whose cost is its latency."""
    return Variant(name, Device.CPU), wait_ms + service_ms, wait_ms, service_ms, relative_sd**2, basis


def test_the_fallbacks_are_the_others_by_their_cost():
    candidates = [scored("a", 30.0), scored("b", 10.0), scored("c", 20.0), scored("d", 5.0)]
    assert Ranking("b", candidates).fallbacks == ("d", "c", "a")
    assert Ranking("b", candidates[1:2]).fallbacks == ()


class TestConfidence:
    def test_without_another_candidate_is_one(self):
        assert Ranking("a", [scored("a", 10.0, relative_sd=0.5)]).confidence == 1.0

    @pytest.mark.parametrize("others", [0, 1, 2])
    def test_of_a_guess_is_zero(self, others):
        """Not even a lone variant is chosen with confidence if nothing is known about it."""
        guessed = scored("a", 1.0, basis=Basis.GUESS)
        assert Ranking("a", [guessed, *[scored("b", 10.0), scored("c", 12.0)][:others]]).confidence == 0.0

    @pytest.mark.parametrize(("basis", "alone"), [(Basis.MEASURED, 1.0), (Basis.PRIOR, 0.0)])
    def test_of_a_measurement_is_one_and_of_a_prior_only_if_there_is_a_choice(self, basis, alone):
        assert Ranking("a", [scored("a", 10.0, basis=basis)]).confidence == alone
        guessed = scored("b", 12.0, basis=Basis.GUESS)
        assert Ranking("a", [scored("a", 10.0, basis=basis), guessed]).confidence == 1.0

    @pytest.mark.parametrize("unmeasured", [("a",), ("b",), ("a", "b")])
    @pytest.mark.parametrize(("rival_ms", "confidence"), [(20.0, 0.5), (100.0, 0.946), (4.0, 0.054)])
    def test_of_what_was_not_measured_is_that_of_the_factor_between_the_two(
        self, unmeasured, rival_ms, confidence
    ):
        """Of a prior of 20 ms and a measured 100 ms, the deviation of 20 ms would seem certain: 4 of them."""
        pair = [
            scored(name, ms, relative_sd=float(name == unmeasured[0]), basis=basis)
            for name, ms in (("a", 20.0), ("b", rival_ms))
            for basis in [Basis.PRIOR if name in unmeasured else Basis.MEASURED]
        ]
        assert Ranking("a", pair).confidence == pytest.approx(confidence, abs=0.001)

    @pytest.mark.parametrize(("chosen", "sign"), [("a", 1), ("b", -1)])
    def test_is_the_probability_that_the_lead_is_real(self, chosen, sign):
        """Deviations of 3 and 4 ms, and a lead of 5 ms: one deviation of the difference."""
        pair = [scored("a", 30.0, relative_sd=0.1), scored("b", 20.0, relative_sd=0.2, wait_ms=15.0)]
        expected = 0.5 * (1 + sign * math.erf(1 / math.sqrt(2)))
        assert Ranking(chosen, pair).confidence == pytest.approx(expected)

    @pytest.mark.parametrize(("chosen", "confidence"), [("a", 1.0), ("b", 0.0)])
    def test_of_figures_without_variance_is_all_or_nothing(self, chosen, confidence):
        assert Ranking(chosen, [scored("a", 10.0), scored("b", 12.0)]).confidence == confidence

    @pytest.mark.parametrize("relative_sd", [0.0, 0.3])
    def test_of_equals_is_one_half(self, relative_sd):
        pair = [scored(name, 10.0, relative_sd=relative_sd) for name in "ab"]
        assert Ranking("a", pair).confidence == 0.5

    def test_is_in_comparison_with_the_best_of_the_others(self):
        a, b, c = (scored(name, ms, relative_sd=0.1) for name, ms in (("a", 10.0), ("b", 11.0), ("c", 90.0)))
        assert Ranking("a", [a, c, b]).confidence == Ranking("a", [a, b]).confidence


class TestReports:
    def test_the_best_scores_one_and_others_their_share_of_its_cost(self):
        candidates = [scored("a", 15.0, wait_ms=5.0), scored("b", 10.0), scored("c", 40.0)]
        assert list(Ranking("a", candidates).reports()) == [
            CandidateReport("a", Device.CPU, 0.5, 20.0, None, Basis.MEASURED),
            CandidateReport("b", Device.CPU, 1.0, 10.0, None, Basis.MEASURED),
            CandidateReport("c", Device.CPU, 0.25, 40.0, None, Basis.MEASURED),
        ]

    @pytest.mark.parametrize(("lowest", "scores"), [(0.0, [1.0, 0.0]), (-3.0, [1.0, 0.0])])
    def test_a_cost_of_zero_or_less_scores_one_and_leaves_nothing_to_higher_ones(self, lowest, scores):
        candidates = [scored("a", lowest), scored("b", 5.0)]
        assert [report.score for report in Ranking("a", candidates).reports()] == scores

    def test_a_guess_has_a_score_but_no_prediction(self):
        candidates = [scored("a", 10.0), scored("b", 20.0, basis=Basis.GUESS)]
        assert list(Ranking("a", candidates).reports())[1] == CandidateReport(
            "b", Device.CPU, 0.5, None, None, Basis.GUESS
        )

    def test_a_prior_has_a_prediction(self):
        (report,) = Ranking("a", [scored("a", 10.0, wait_ms=2.0, basis=Basis.PRIOR)]).reports()
        assert (report.expected_latency_ms, report.basis) == (12.0, Basis.PRIOR)

    def test_a_rejected_variant_has_its_reason_and_no_prediction(self):
        report = CandidateReport.of_rejected(Variant("a", Device.GPU), "would be late")
        assert report == CandidateReport("a", Device.GPU, 0.0, None, "would be late", None)
