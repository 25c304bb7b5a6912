import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.bucket_residual import BucketResidual
from router_backend.core.learning.latency_model import LatencyModel
from router_backend.core.learning.level import LevelFilter

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


def test_knows_nothing_before_the_first_observation():
    model = LatencyModel()
    assert not model.known
    assert model.predict(8) == 0.0


def test_the_first_observation_is_the_first_prediction():
    model = LatencyModel()
    model.update(8, 9.0, now_s=0.0)
    assert model.known
    assert model.predict(8) == pytest.approx(9.0)


def test_an_update_invalidates_the_cached_prediction():
    model = trained()
    before = model.predict(8), model.predict(4), model.predict(8)
    model.update(8, 2.0 * law_ms(8), now_s=30.1)
    assert before[0] == before[2] < model.predict(8)
    assert model.predict(8) == model.predict(8)


def test_predicts_within_six_percent_after_fifty_observations():
    model = trained(noise=0.05, count=50)
    for x in (1, 3, 8, 12, 16):
        assert model.predict(x) == pytest.approx(law_ms(x), rel=0.06)


def test_learns_a_cliff_without_losing_the_law_below_it():
    def cliff_ms(x: float) -> float:
        return law_ms(x) * (4.0 if x >= 16 else 1.0)

    model = LatencyModel()
    for i in range(400):
        x = SIZES[i % len(SIZES)]
        model.update(x, cliff_ms(x), now_s=0.1 * i)
    assert model.predict(16) == pytest.approx(cliff_ms(16), rel=0.1)
    for x in (1, 2, 4, 8):
        assert model.predict(x) == pytest.approx(cliff_ms(x), rel=0.25)


def test_follows_a_drift_of_a_third_within_ten_observations():
    model = trained()
    for i in range(10):
        x = SIZES[i % len(SIZES)]
        model.update(x, 1.33 * law_ms(x), now_s=30.0 + 0.1 * i)
    for x in SIZES:
        assert model.predict(x) == pytest.approx(1.33 * law_ms(x), rel=0.12)


@pytest.mark.parametrize("factor", [2.5, 0.4])
def test_relearns_a_law_that_changed_within_ten_observations(factor):
    model = trained()
    for i in range(10):
        x = SIZES[i % len(SIZES)]
        model.update(x, factor * law_ms(x), now_s=30.0 + 0.1 * i)
    for x in SIZES:
        assert model.predict(x) == pytest.approx(factor * law_ms(x), rel=0.15)
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
    assert [model.predict(x) for x in SIZES] == [model.law.predict(x) for x in SIZES]


@pytest.mark.parametrize("bad_ms", [math.nan, math.inf, -math.inf, -1.0, 0.0, 5e-324, 1e300])
def test_an_implausible_service_time_is_rejected_and_counted(bad_ms):
    model = trained()
    before = [model.predict(x) for x in SIZES], model.relative_variance(31.0)
    model.update(8, bad_ms, now_s=30.5)
    assert ([model.predict(x) for x in SIZES], model.relative_variance(31.0)) == before
    assert model.rejected == 1


@pytest.mark.parametrize("bad_size", [math.nan, math.inf, -1.0, 0.0, 5e-324, 1e300])
def test_an_implausible_size_is_rejected_and_counted(bad_size):
    model = trained()
    before = [model.predict(x) for x in SIZES]
    model.update(bad_size, 9.0, now_s=30.5)
    assert [model.predict(x) for x in SIZES] == before
    assert model.rejected == 1


def test_a_rejected_first_observation_leaves_the_model_unknown():
    model = LatencyModel()
    model.update(8, math.nan, now_s=0.0)
    assert not model.known
    assert model.predict(8) == 0.0


def test_a_service_time_is_winsorized_at_six_times_the_prediction():
    """A stall of 500 times the prediction has the same effect as one of 10 times."""
    stalled, hung = trained(), trained()
    stalled.update(8, 10 * law_ms(8), now_s=30.0)
    hung.update(8, 500 * law_ms(8), now_s=30.0)
    assert [hung.predict(x) for x in SIZES] == [stalled.predict(x) for x in SIZES]


def test_a_service_time_above_a_thousand_predictions_is_rejected_and_counted():
    model = trained()
    before = [model.predict(x) for x in SIZES]
    for _ in range(2):
        model.update(8, 1500 * law_ms(8), now_s=30.0)
    assert [model.predict(x) for x in SIZES] == before
    assert model.rejected == 2


def test_the_third_outlier_in_a_row_is_learned():
    model = trained()
    for _ in range(30):
        model.update(8, 1500 * law_ms(8), now_s=30.0)
    assert model.rejected == 2
    assert model.predict(8) > 500 * law_ms(8)


def test_a_stall_of_less_than_a_thousand_times_is_learned_and_restarts_the_row():
    model = trained()
    assert model.update(8, 500 * law_ms(8), now_s=30.0)
    learned = [model.update(8, factor * law_ms(8), now_s=30.0) for factor in (3e4, 1e2, 3e4, 3e4)]
    assert learned == [False, True, False, False]
    assert model.rejected == 3


@pytest.mark.parametrize(("size", "service_ms"), [(1e-9, 4.0), (1e12, 4.0), (4.0, 1e-9), (4.0, 1e12)])
def test_the_smallest_and_the_largest_valid_values_are_learned(size, service_ms):
    model = LatencyModel()
    assert model.update(size, service_ms, now_s=0.0)
    assert (model.rejected, model.predict(size)) == (0, pytest.approx(service_ms))


def test_six_predictions_are_counted_with_the_cliff_and_the_level_of_the_moment():
    """Size 16 has a cliff and the level is above 1: at most six times that prediction is learned."""

    def slowed() -> LatencyModel:
        model = LatencyModel()
        for i in range(400):
            x = SIZES[i % len(SIZES)]
            slower = 1.0 if i < 390 else 1.5
            model.update(x, law_ms(x) * slower * (3.0 if x == 16 else 1.0), now_s=0.1 * i)
        return model

    usual_ms = slowed().predict(16)
    assert usual_ms > 3.5 * law_ms(16), "cliff and level"

    def after(factor: float) -> float:
        model = slowed()
        assert model.update(16, factor * usual_ms, now_s=40.0)
        return model.predict(16)

    assert after(5.0) < after(5.9) < after(7.0) == after(500.0)
    assert after(6.0) == pytest.approx(after(7.0))


def test_the_prediction_is_the_law_times_factors_fitted_to_the_residuals():
    """Backfitting, computed here with the three estimators."""
    model, law, cliffs, level = LatencyModel(), AffineLaw(), BucketResidual(), LevelFilter()
    rng = random.Random(0)
    for i in range(60):
        x, now_s = rng.choice(SIZES), 0.1 * i
        service_ms = law_ms(x) * rng.uniform(0.9, 1.3) * (1.5 if x == 16 else 1.0)
        model.update(x, service_ms, now_s)
        law.update(x, service_ms)
        ratio = service_ms / law.predict(x)
        level.update(ratio / cliffs.update(x, ratio / level.get()), now_s)
        expected = [law.predict(x) * cliffs.get(x) * level.get() for x in SIZES]
        assert [model.predict(x) for x in SIZES] == pytest.approx(expected)
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
        assert model.predict(x) == pytest.approx(law_ms(x), rel=0.5)


def test_the_uncertainty_shrinks_with_data_and_grows_without():
    few, many = trained(count=5), trained(count=200)
    assert many.relative_variance(30.0) < few.relative_variance(30.0) < LatencyModel().relative_variance(30.0)
    at_once = many.relative_variance(many.updated_s)
    for elapsed_s in (0.5, 4.0, 8.0):
        grown = many.relative_variance(many.updated_s + elapsed_s)
        assert grown - at_once == pytest.approx(0.01 * elapsed_s)
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
        assert model.predict(x) == pytest.approx(law_ms(x), rel=0.05)
    assert 0.0 < model.relative_variance(30.0) < math.inf


def test_learns_with_a_clock_that_does_not_advance():
    model = LatencyModel()
    for i in range(60):
        x = SIZES[i % len(SIZES)]
        model.update(x, law_ms(x), now_s=7.0)
    for x in SIZES:
        assert model.predict(x) == pytest.approx(law_ms(x), rel=0.02)


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=6), st.floats(0.01, 1e4))
def test_the_prediction_never_far_exceeds_the_largest_observation(seen_ms, last_ms):
    model = LatencyModel()
    for second, service_ms in enumerate([*seen_ms, last_ms]):
        model.update(1.0, service_ms, now_s=float(second))
    assert model.predict(1.0) <= 1.5 * max(*seen_ms, last_ms)


def test_recovers_from_a_slow_first_response_within_a_dozen_responses():
    model = LatencyModel()
    for number, service_ms in enumerate((74.2, 0.3, 5.2, 5.8, 1.2, 1.9, 0.7, 1.8, 0.4, 0.8, 0.9, 0.3, 3.7)):
        model.update(1.0, service_ms, now_s=0.001 * number)
    assert model.predict(1.0) < 4.0
