"""How the latency model treats readings that are wrong, rare or very slow."""

import math
import random

import pytest

from router_backend.core.learning.latency_model import LatencyModel
from router_backend.core.learning.rare_excess import RareExcess
from tests.unit.core.learning.trained import SIZES, law_ms, predicted, trained


@pytest.mark.parametrize("bad_ms", [math.nan, math.inf, -math.inf, -1.0, 0.0, 5e-324, 1e300])
def test_an_implausible_service_time_is_rejected_and_counted(bad_ms):
    model = trained()
    before = [predicted(model, x) for x in SIZES], model.relative_variance(31.0)
    model.update(8, bad_ms, now_s=30.5)
    assert ([predicted(model, x) for x in SIZES], model.relative_variance(31.0)) == before
    assert model.rejected == 1


@pytest.mark.parametrize("bad_size", [math.nan, math.inf, -1.0, 0.0, 5e-324, 1e300])
def test_an_implausible_size_is_rejected_and_counted(bad_size):
    model = trained()
    before = [predicted(model, x) for x in SIZES]
    model.update(bad_size, 9.0, now_s=30.5)
    assert [predicted(model, x) for x in SIZES] == before
    assert model.rejected == 1


def test_a_rejected_first_observation_leaves_the_model_unknown():
    model = LatencyModel()
    model.update(8, math.nan, now_s=0.0)
    assert not model.known
    assert predicted(model, 8) == 0.0


def test_a_service_time_is_winsorized_at_six_times_the_prediction():
    """A stall of 90 times the prediction has the same effect as one of 10 times."""
    stalled, hung = trained(), trained()
    stalled.update(8, 10 * law_ms(8), now_s=30.0)
    hung.update(8, 90 * law_ms(8), now_s=30.0)
    assert [predicted(hung, x) for x in SIZES] == [predicted(stalled, x) for x in SIZES]


def test_a_service_time_above_a_thousand_predictions_is_rejected_and_counted():
    model = trained()
    before = [predicted(model, x) for x in SIZES]
    for _ in range(2):
        model.update(8, 1500 * law_ms(8), now_s=30.0)
    assert [predicted(model, x) for x in SIZES] == before
    assert model.rejected == 2


def test_the_third_outlier_in_a_row_is_learned():
    model = trained()
    for _ in range(30):
        model.update(8, 1500 * law_ms(8), now_s=30.0)
    assert model.rejected == 2
    assert predicted(model, 8) > 500 * law_ms(8)


def test_a_stall_of_less_than_a_hundred_times_is_learned_and_restarts_the_row():
    model = trained()
    assert model.update(8, 90 * law_ms(8), now_s=30.0)
    learned = [model.update(8, factor * law_ms(8), now_s=30.0) for factor in (3e4, 50.0, 3e4, 3e4)]
    assert learned == [False, True, False, False]
    assert model.rejected == 3


@pytest.mark.parametrize(("size", "service_ms"), [(1e-9, 4.0), (1e12, 4.0), (4.0, 1e-9), (4.0, 1e12)])
def test_the_smallest_and_the_largest_valid_values_are_learned(size, service_ms):
    model = LatencyModel()
    assert all(model.update(size, service_ms, now_s=0.0) for _ in range(2))
    assert (model.rejected, predicted(model, size)) == (0, pytest.approx(service_ms))


def test_six_predictions_are_counted_with_the_cliff_and_the_level_of_the_moment():
    """Size 16 has a cliff and the level is above 1: the law learns nothing above six times that."""

    def slowed() -> LatencyModel:
        model = LatencyModel()
        for i in range(400):
            x = SIZES[i % len(SIZES)]
            slower = 1.0 if i < 390 else 1.5
            model.update(x, law_ms(x) * slower * (3.0 if x == 16 else 1.0), now_s=0.1 * i)
        return model

    usual_ms = predicted(slowed(), 16)
    assert usual_ms > 3.5 * law_ms(16), "cliff and level"

    def after(factor: float) -> float:
        model = slowed()
        assert model.update(16, factor * usual_ms, now_s=40.0)
        return predicted(model, 16)

    assert usual_ms < after(7.0) == after(90.0) < after(5.0) < after(5.9), "only the level follows a stall"


def test_a_usual_service_time_restarts_the_row():
    model = trained()
    for _ in range(20):
        model.update(8, 1500 * law_ms(8), now_s=30.0)
        model.update(8, law_ms(8), now_s=30.0)
    assert model.rejected == 20


def test_one_stall_does_not_distort_the_law():
    model = trained()
    model.update(8, 500 * law_ms(8), now_s=30.0)
    for i in range(5):
        x = SIZES[i]
        model.update(x, law_ms(x), now_s=30.1 + 0.1 * i)
    assert model.change.alarms == 0
    for x in SIZES:
        assert predicted(model, x) == pytest.approx(law_ms(x), rel=0.5)


class TestExcess:
    def test_slow_answers_that_are_not_rare_are_learned(self):
        """5 and 50 ms in turn: the prediction is the mean, and does not follow the last one."""
        model = LatencyModel()
        for i in range(600):
            model.update(1, 50.0 if i % 2 else 5.0, now_s=0.2 * i)
            if i > 500:
                assert predicted(model, 1) == pytest.approx(27.5, rel=0.15)

    def test_an_ordinary_answer_has_none(self):
        model = trained()
        for factor in (0.2, 1.0, 5.9):
            model.update(8, factor * predicted(model, 8), now_s=30.0)
            assert model.excess is None

    @pytest.mark.parametrize(("factor", "excess"), [(7.0, 6.0), (90.0, 89.0)])
    def test_what_the_law_does_not_learn_is_excess(self, factor, excess):
        """All beyond the prediction, if an answer is above 6 times that."""
        model, learned = trained(count=100), RareExcess(trained(count=100).law.n)
        for _ in range(2):
            learned.update(excess)
            model.update(8, factor * predicted(model, 8), now_s=30.0)
            for _ in range(10):
                learned.update(0.0)
                model.update(8, law_ms(8), now_s=30.0)
        assert model.excess is not None
        assert model.excess.value == pytest.approx(learned.value, rel=1e-3)

    def test_one_in_a_hundred_leaves_the_prediction_and_the_alarm_as_they_are(self):
        """A level that stayed raised would pull the cliffs below 1, and ordinary answers raise the alarm."""
        model, rng = trained(count=100), random.Random(0)
        alarms = model.change.alarms
        for number in range(1, 2001):
            slower = 50.0 if number % 100 == 0 else 1.0
            model.update(8, slower * law_ms(8) * rng.lognormvariate(0.0, 0.05), now_s=30.0 + 0.02 * number)
            if number > 500 and 2 < number % 100 < 100:
                assert predicted(model, 8) == pytest.approx(law_ms(8), rel=0.12)
        assert model.change.alarms == alarms
        assert model.excess is not None
        assert model.excess.value == pytest.approx(0.49, rel=0.15)

    @pytest.mark.parametrize("factor", [110.0, 1000.0, 1e6])
    def test_two_readings_in_a_wrong_unit_are_none(self, factor):
        model = trained(count=100)
        for _ in range(2):
            assert not model.update(8, factor * predicted(model, 8), now_s=30.0)
            model.update(8, law_ms(8), now_s=30.0)
        assert model.excess is not None
        assert model.excess.value == 0.0
        for _ in range(40):
            model.update(8, law_ms(8), now_s=30.0)
        assert model.excess is None

    def test_the_third_within_a_few_dozen_answers_is_believed(self):
        model = trained(count=100)
        for _ in range(3):
            assert not model.update(8, 200.0 * predicted(model, 8), now_s=30.0)
            for _ in range(20):
                model.update(8, law_ms(8), now_s=30.0)
        assert model.excess is not None
        assert model.excess.value > 0.5

    def test_a_lower_reading_is_no_excess(self):
        model = trained()
        assert not model.update(8, 1e-3 * law_ms(8), now_s=30.0)
        assert model.excess is None

    def test_the_answers_of_a_change_are_none(self):
        model = trained()
        for _ in range(10):
            model.update(8, 20.0 * law_ms(8), now_s=30.0)
        assert model.change.alarms
        assert model.excess is None

    def test_it_ends_when_the_variant_is_as_usual_again(self):
        model = trained()
        for _ in range(8):
            model.update(8, 20.0 * law_ms(8), now_s=30.0)
        model.update(8, 1500.0 * predicted(model, 8), now_s=30.0)
        assert model.excess is not None
        model.update(8, law_ms(8), now_s=31.0)
        assert (model.usual, model.excess) == (None, None)
