"""What the latency model predicts, how fast it follows changes, and how sure it is."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.bucket_residual import BucketResidual
from router_backend.core.learning.latency_model import LatencyModel
from router_backend.core.learning.level import LevelFilter
from tests.unit.core.learning.trained import SIZES, law_ms, predicted, trained


def test_knows_nothing_before_the_first_observation():
    model = LatencyModel()
    assert not model.known
    assert predicted(model, 8) == 0.0


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
