"""How the latency model treats the first answer of a variant, which may be a cold call."""

import math

import pytest

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.latency_model import LatencyModel
from tests.unit.core.learning.trained import predicted


class TestFirstAnswer:
    def test_it_is_kept_and_predicts_nothing(self):
        model = LatencyModel()
        assert model.update(8, 9.0, now_s=5.0)
        assert not model.known
        assert (predicted(model, 8), model.law.n, model.rejected) == (0.0, 0.0, 0)
        assert model.relative_variance(5.0) == 1.0
        assert model.first.predict(8) == pytest.approx(9.0)

    @pytest.mark.parametrize("second_ms", [9.0, 6.1, 12.0, 900.0])
    def test_it_is_learned_if_the_second_is_at_most_one_and_a_half_times_faster(self, second_ms):
        model, law = LatencyModel(), AffineLaw()
        model.update(8, 9.0, now_s=0.0)
        model.update(8, second_ms, now_s=0.0)
        law.update(8, 9.0)
        law.update(8, second_ms)
        assert model.known
        assert (model.law.predict(8), model.law.n) == (law.predict(8), law.n)

    @pytest.mark.parametrize("first_ms", [9.1, 90.0, 9000.0])
    def test_a_cold_call_is_not_learned(self, first_ms):
        model = LatencyModel()
        model.update(8, first_ms, now_s=0.0)
        model.update(8, 6.0, now_s=0.0)
        assert model.known
        assert predicted(model, 8) == pytest.approx(6.0)
        assert (model.law.n, model.rejected, model.change.alarms) == (1.0, 0, 0)

    def test_it_is_compared_at_the_size_of_the_second(self):
        """40 ms at size 8 is 22.5 ms at size 1, by half a slope: no cold call beside 16 ms."""
        for second_ms, learned in ((16.0, 2.0), (14.0, 1.0)):
            model = LatencyModel()
            model.update(8, 40.0, now_s=0.0)
            assert model.first.predict(1) == pytest.approx(22.5)
            model.update(1, second_ms, now_s=0.0)
            assert model.law.n == pytest.approx(learned, abs=0.01)

    def test_it_stays_as_it_was(self):
        model = LatencyModel()
        for _ in range(20):
            model.update(8, 9.0, now_s=0.0)
        assert model.first.n == 1.0
        assert model.law is not model.first

    def test_a_rejected_answer_is_not_the_first(self):
        model = LatencyModel()
        model.update(8, math.nan, now_s=0.0)
        model.update(8, 9.0, now_s=0.0)
        assert not model.known
        assert model.rejected == 1


def test_recovers_from_a_slow_first_response_within_a_dozen_responses():
    model = LatencyModel()
    for number, service_ms in enumerate((74.2, 0.3, 5.2, 5.8, 1.2, 1.9, 0.7, 1.8, 0.4, 0.8, 0.9, 0.3, 3.7)):
        model.update(1.0, service_ms, now_s=0.001 * number)
    assert predicted(model, 1.0) < 4.0
