"""How the latency model treats a device that suddenly becomes slow, and is well again."""

import pytest

from router_backend.core.learning.latency_model import LatencyModel
from tests.unit.core.learning.trained import SIZES, law_ms, predicted, trained


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
