import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.bucket_residual import BucketResidual
from router_backend.core.learning.latency_model import LatencyModel
from router_backend.core.learning.level import LevelFilter
from router_backend.core.learning.rare_excess import RareExcess

SIZES = (1, 2, 4, 8, 16)


def law_ms(x: float) -> float:
    return 2.3 + 0.82 * x


def trained(noise: float = 0.02, count: int = 300, seed: int = 0) -> LatencyModel:
    """Return a model after `count` requests that follow the law, ten per second, up to second 30."""
    rng, model = random.Random(seed), LatencyModel()
    for i in range(count):
        x = rng.choice(SIZES)
        model.update(x, law_ms(x) * math.exp(rng.gauss(0.0, noise)), now_s=30.0 - 0.1 * (count - i))
    return model


def predicted(model: LatencyModel, x: float) -> float:
    """Return the prediction at the time of the last observation."""
    return model.predict(x, model.updated_s)


def test_knows_nothing_before_the_first_observation():
    model = LatencyModel()
    assert not model.known
    assert predicted(model, 8) == 0.0


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


class TestSlowdown:
    """A device of 2.3 + 0.82·x ms becomes `factor` times slower at second 30."""

    def slowed(self, factor: float, count: int = 6) -> LatencyModel:
        model = trained()
        for i in range(count):
            model.update(8, factor * law_ms(8), now_s=30.0 + 0.1 * i)
        return model

    @pytest.mark.parametrize(("factor", "is_kept"), [(0.1, False), (0.4, False), (2.5, True), (40.0, True)])
    def test_what_it_was_like_before_is_kept(self, factor, is_kept):
        model = self.slowed(factor)
        assert model.change.alarms >= 1
        assert (model.usual is not None) is is_kept
        if model.usual is not None:
            usual_ms = [model.usual.predict(x) for x in SIZES]
            assert usual_ms == pytest.approx(list(map(law_ms, SIZES)), rel=0.05), "before it was slow"
        if factor < 10.0:  # above, each answer is learned as at most six times the prediction
            assert predicted(model, 8) == pytest.approx(factor * law_ms(8), rel=0.2)

    def test_a_change_by_less_than_a_factor_of_two_is_no_slowdown(self):
        model = self.slowed(1.9, count=20)
        assert model.change.alarms >= 1
        assert model.usual is None

    @pytest.mark.parametrize("factor", [3.0, 10.0, 40.0])
    def test_the_first_answer_that_fits_restores_it(self, factor):
        model = self.slowed(factor)
        model.update(8, law_ms(8), now_s=60.0)
        assert model.usual is None
        for x in SIZES:
            assert predicted(model, x) == pytest.approx(law_ms(x), rel=0.25), "but for two slow answers"
        for i in range(10):
            model.update(8, law_ms(8), now_s=60.1 + 0.1 * i)
        assert predicted(model, 8) == pytest.approx(law_ms(8), rel=0.05)
        assert (model.usual, model.rejected) == (None, 0)

    def test_an_answer_that_is_still_slow_leaves_it_slow(self):
        model = self.slowed(10.0)
        for i in range(30):
            model.update(8, 10.0 * law_ms(8), now_s=31.0 + 0.1 * i)
        assert model.usual is not None
        assert predicted(model, 8) == pytest.approx(10.0 * law_ms(8), rel=0.05)

    def test_the_cliffs_are_restored_too(self):
        model = LatencyModel()
        for i in range(400):
            x = SIZES[i % len(SIZES)]
            model.update(x, law_ms(x) * (3.0 if x == 16 else 1.0), now_s=0.1 * i)
        before = predicted(model, 16)
        for i in range(10):
            model.update(2, 20.0 * law_ms(2), now_s=40.0 + 0.1 * i)
        assert model.usual is not None
        assert predicted(model, 16) > 5.0 * before
        model.update(16, before, now_s=60.0)
        assert model.usual is None
        assert predicted(model, 16) == pytest.approx(before, rel=0.1)

    def test_a_second_slowdown_keeps_what_was_usual_before_the_first(self):
        model = self.slowed(4.0, count=20)
        first = model.usual
        for i in range(20):
            model.update(8, 40.0 * law_ms(8), now_s=32.0 + 0.1 * i)
        assert model.change.alarms >= 2
        assert first is not None
        assert model.usual is first
        assert first.predict(8) == pytest.approx(law_ms(8), rel=0.25)

    def test_a_variant_that_becomes_slow_again_is_relearned_as_fast(self):
        model = self.slowed(10.0)
        model.update(8, law_ms(8), now_s=60.0)
        alarms = model.change.alarms
        for i in range(20):
            model.update(8, 10.0 * law_ms(8), now_s=70.0 + 0.1 * i)
        assert model.change.alarms > alarms
        assert model.usual is not None
        assert predicted(model, 8) == pytest.approx(10.0 * law_ms(8), rel=0.2)

    def test_the_level_of_the_slow_time_is_forgotten_when_it_is_well(self):
        model = self.slowed(10.0)
        usual = model.usual
        for _ in range(8):
            model.level.update(5.0, now_s=60.0)
        model.update(8, law_ms(8), now_s=60.0)
        assert usual is not None
        assert model.level.value == pytest.approx((law_ms(8) / usual.predict(8) + 1.0) / 2.0, rel=0.1)

    def test_surprises_of_the_slow_time_are_forgotten_when_it_is_well(self):
        model = self.slowed(10.0)
        assert model.usual is not None
        usual_ms = model.usual.predict(8)
        model.change.restart()
        for _ in range(2):
            model.change.variance = 0.01
            assert not model.change.update(10.0), "4 of the threshold of 8 each"
        alarms = model.change.alarms
        model.update(8, usual_ms, now_s=60.0)
        model.change.variance = 0.01
        model.update(8, 5.0 * usual_ms, now_s=60.1)
        assert model.change.alarms == alarms


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


class TestUnseen:
    def test_a_drift_fades_from_the_prediction_while_the_variant_is_not_seen(self):
        model = trained()
        for i in range(10):
            model.update(8, 1.33 * law_ms(8), now_s=30.0 + 0.1 * i)
        law_alone_ms = predicted(model, 8) / model.level.value
        for now_s in (31.0, 35.0, 60.0, 500.0):
            assert model.predict(8, now_s) == pytest.approx(law_alone_ms * model.level.get(now_s))
        assert predicted(model, 8) > model.predict(8, 35.0) > model.predict(8, 60.0)
        assert model.predict(8, 500.0) == pytest.approx(law_alone_ms)

    def test_a_noisy_variant_is_predicted_by_its_mean(self):
        """σ = 0.75: after any eight answers in a row, the prediction is within a third of the mean."""
        rng, model, off = random.Random(0), LatencyModel(), []
        for i in range(2000):
            model.update(1, 30.0 * math.exp(rng.gauss(-0.5 * 0.75**2, 0.75)), now_s=0.1 * i)
            if i >= 500:
                off.append(abs(math.log(predicted(model, 1) / 30.0)))
        assert sum(off) / len(off) < 0.15
        assert model.change.alarms <= 10


def test_an_update_invalidates_the_cached_prediction():
    model = trained()
    before = predicted(model, 8), predicted(model, 4), predicted(model, 8)
    model.update(8, 2.0 * law_ms(8), now_s=30.1)
    assert before[0] == before[2] < predicted(model, 8)
    assert predicted(model, 8) == predicted(model, 8)


def test_predicts_within_six_percent_after_fifty_observations():
    model = trained(noise=0.05, count=50)
    for x in (1, 3, 8, 12, 16):
        assert predicted(model, x) == pytest.approx(law_ms(x), rel=0.06)


def test_learns_a_cliff_without_losing_the_law_below_it():
    def cliff_ms(x: float) -> float:
        return law_ms(x) * (4.0 if x >= 16 else 1.0)

    model = LatencyModel()
    for i in range(400):
        x = SIZES[i % len(SIZES)]
        model.update(x, cliff_ms(x), now_s=0.1 * i)
    assert predicted(model, 16) == pytest.approx(cliff_ms(16), rel=0.1)
    for x in (1, 2, 4, 8):
        assert predicted(model, x) == pytest.approx(cliff_ms(x), rel=0.25)


def test_follows_a_drift_of_a_third_within_ten_observations():
    model = trained()
    for i in range(10):
        x = SIZES[i % len(SIZES)]
        model.update(x, 1.33 * law_ms(x), now_s=30.0 + 0.1 * i)
    for x in SIZES:
        assert predicted(model, x) == pytest.approx(1.33 * law_ms(x), rel=0.12)


@pytest.mark.parametrize("factor", [2.5, 0.4])
def test_relearns_a_law_that_changed_within_ten_observations(factor):
    model = trained()
    for i in range(10):
        x = SIZES[i % len(SIZES)]
        model.update(x, factor * law_ms(x), now_s=30.0 + 0.1 * i)
    for x in SIZES:
        assert predicted(model, x) == pytest.approx(factor * law_ms(x), rel=0.15)
    assert model.change.alarms >= 1


def test_a_change_resets_the_factors():
    """Size 16 has a cliff and the level is above 1; after the change, only the law predicts."""
    model = LatencyModel()
    for i in range(200):
        x = SIZES[i % len(SIZES)]
        model.update(x, law_ms(x) * (3.0 if x == 16 else 1.0), now_s=0.1 * i)
    now_s = 20.0
    while model.change.alarms == 0:
        model.update(2, 0.1 * law_ms(2), now_s)
        now_s += 0.1
    assert [predicted(model, x) for x in SIZES] == [model.law.predict(x) for x in SIZES]


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


def test_the_prediction_is_the_law_times_factors_fitted_to_the_residuals():
    """Backfitting, computed here with the three estimators."""
    model, law, cliffs, level = LatencyModel(), AffineLaw(), BucketResidual(), LevelFilter()
    rng = random.Random(0)
    for i in range(60):
        x, now_s = rng.choice(SIZES), 0.1 * i
        service_ms = law_ms(x) * rng.uniform(0.9, 1.3) * (1.5 if x == 16 else 1.0)
        model.update(x, service_ms, now_s)
        law.update(x, service_ms)
        if i == 0:
            continue  # the second confirms it
        ratio = service_ms / law.predict(x)
        level.update(ratio / cliffs.update(x, ratio / level.value), now_s, model.change.variance)
        expected = [law.predict(x) * cliffs.get(x) * level.value for x in SIZES]
        assert [predicted(model, x) for x in SIZES] == pytest.approx(expected)
    assert model.change.alarms == 0


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


def test_the_uncertainty_shrinks_with_data_and_grows_without():
    few, many = trained(count=5), trained(count=200)
    assert many.relative_variance(30.0) < few.relative_variance(30.0) < LatencyModel().relative_variance(30.0)
    at_once = many.relative_variance(many.updated_s)
    for elapsed_s, level in ((0.5, 0.05), (4.0, 0.4), (8.0, 0.8), (10.0, 1.0), (40.0, 1.0)):
        grown = many.relative_variance(many.updated_s + elapsed_s)
        assert grown - at_once == pytest.approx(0.0225 * level + 0.001 * elapsed_s)
    assert many.relative_variance(many.updated_s + 1e6) == LatencyModel().relative_variance(0.0) == 1.0


def test_initial_uncertainty_does_not_depend_on_the_clock():
    assert LatencyModel().relative_variance(0.0) == LatencyModel().relative_variance(1e6)


def test_a_clock_that_jumps_back_does_not_corrupt_the_prediction():
    model = trained()
    variance = model.relative_variance(model.updated_s)
    assert model.relative_variance(model.updated_s - 1000.0) == variance
    for x in SIZES:
        model.update(x, law_ms(x), now_s=-500.0)
    for x in SIZES:
        assert predicted(model, x) == pytest.approx(law_ms(x), rel=0.05)
    assert 0.0 < model.relative_variance(30.0) < math.inf


def test_learns_with_a_clock_that_does_not_advance():
    model = LatencyModel()
    for i in range(60):
        x = SIZES[i % len(SIZES)]
        model.update(x, law_ms(x), now_s=7.0)
    for x in SIZES:
        assert predicted(model, x) == pytest.approx(law_ms(x), rel=0.02)


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=6), st.floats(0.01, 1e4))
def test_the_prediction_never_far_exceeds_the_largest_observation(seen_ms, last_ms):
    model = LatencyModel()
    for second, service_ms in enumerate([*seen_ms, last_ms]):
        model.update(1.0, service_ms, now_s=float(second))
    assert predicted(model, 1.0) <= 1.5 * max(*seen_ms, last_ms)


def test_recovers_from_a_slow_first_response_within_a_dozen_responses():
    model = LatencyModel()
    for number, service_ms in enumerate((74.2, 0.3, 5.2, 5.8, 1.2, 1.9, 0.7, 1.8, 0.4, 0.8, 0.9, 0.3, 3.7)):
        model.update(1.0, service_ms, now_s=0.001 * number)
    assert predicted(model, 1.0) < 4.0
