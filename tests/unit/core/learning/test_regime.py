from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.bucket_residual import BucketResidual
from router_backend.core.learning.regime import FirstAnswers, UsualRegime

NOTICED_S = 100.0
SIZES = (1.0, 2.0, 4.0, 8.0)


def usual(*, cliff: float = 1.0) -> UsualRegime:
    """Return the regime of 2 + x ms, slowed since second 100; size 16 is `cliff` times slower."""
    law, cliffs = AffineLaw(), BucketResidual()
    for x in SIZES * 200:
        law.update(x, 2.0 + x)
    if cliff != 1.0:
        for _ in range(200):
            cliffs.update(16.0, cliff)
    return UsualRegime(law, cliffs, None, NOTICED_S)


def retries_s(regime: UsualRegime, count: int, *, every_s: float = 0.0) -> list[float]:
    """Return when it may be tried again, if each trial is still slow and answered after `every_s`."""
    times = []
    for _ in range(count):
        times.append(regime.retry_s)
        assert not regime.is_back(4.0, 60.0, regime.retry_s + every_s)
    return times


def test_predicts_by_the_law_and_the_cliffs():
    assert usual().predict(4.0) == pytest.approx(6.0, rel=0.01)
    regime = usual(cliff=3.0)
    assert regime.predict(16.0) == pytest.approx(regime.law.predict(16.0) * regime.cliffs.get(16.0))
    assert regime.predict(16.0) == pytest.approx(54.0, rel=0.05)


@pytest.mark.parametrize(("slower", "is_back"), [(0.2, True), (1.0, True), (1.59, True), (1.61, False)])
def test_an_answer_is_as_usual_up_to_one_and_six_tenths_of_the_prediction(slower, is_back):
    regime = usual()
    for now_s in (NOTICED_S, NOTICED_S + 10.0):
        assert regime.is_back(4.0, slower * regime.predict(4.0), now_s) is is_back


def test_the_first_trial_is_a_quarter_of_a_second_after_the_slowdown():
    assert usual().retry_s == NOTICED_S + 0.25


def test_the_backoff_doubles_with_each_trial_up_to_a_second():
    times = retries_s(usual(), 6)
    pauses = [after - before for before, after in zip([NOTICED_S, *times], times, strict=False)]
    assert pauses == pytest.approx([0.25, 0.5, 1.0, 1.0, 1.0, 1.0])


def test_the_backoff_is_at_most_a_tenth_of_the_time_since_the_slowdown():
    regime = usual()
    for now_s, pause_s in ((200.0, 0.5), (300.0, 1.0), (400.0, 2.0), (2100.0, 4.0), (2110.0, 8.0)):
        assert not regime.is_back(4.0, 60.0, now_s)
        assert regime.retry_s - now_s == pytest.approx(pause_s)
    regime = usual()
    for _ in range(12):
        regime.is_back(4.0, 60.0, max(150.0, regime.retry_s))
    assert regime.retry_s - NOTICED_S > 50.0
    now_s = regime.retry_s
    assert not regime.is_back(4.0, 60.0, now_s)
    assert regime.retry_s - now_s == pytest.approx(0.1 * (now_s - NOTICED_S))


def test_slow_answers_before_the_trial_do_not_lengthen_the_backoff():
    """Requests that were sent while the variant was as slow as everyone knew say nothing new."""
    regime = usual()
    for _ in range(50):
        assert not regime.is_back(4.0, 60.0, NOTICED_S + 0.249)
    assert regime.retry_s == NOTICED_S + 0.25
    assert not regime.is_back(4.0, 60.0, NOTICED_S + 0.25)
    assert regime.retry_s == NOTICED_S + 0.25 + 0.5


def test_the_backoff_starts_when_the_trial_is_answered():
    assert retries_s(usual(), 3, every_s=0.06) == pytest.approx([100.25, 100.81, 101.87])


@given(st.lists(st.floats(0.0, 30.0), max_size=60))
def test_the_time_to_the_next_trial_is_bounded(pauses_s):
    regime, now_s = usual(), NOTICED_S
    for pause_s in pauses_s:
        now_s += pause_s
        regime.is_back(4.0, 60.0, now_s)
        assert regime.retry_s - now_s <= max(1.0, 0.1 * (now_s - NOTICED_S)) + 1e-9


class TestRequestsBetweenTrials:
    """√(n · (r - 1)) requests, n requests after the slowdown, if it is r times slower."""

    @staticmethod
    def trials(slower: float, requests: int) -> list[int]:
        """Return the numbers of the requests that try the variant, which come one a second."""
        regime, tried = usual(), []
        for number in range(1, requests + 1):
            now_s = NOTICED_S + number
            regime.passed()
            if regime.is_due(now_s):
                tried.append(number)
                assert not regime.is_back(4.0, slower * regime.predict(4.0), now_s)
        return tried

    def test_the_first_comes_at_once(self):
        assert self.trials(40.0, 100)[0] == 1

    @pytest.mark.parametrize("slower", [3.0, 10.0, 40.0])
    def test_the_pauses_grow_as_the_root_of_what_a_trial_costs_and_of_the_age(self, slower):
        tried = self.trials(slower, 600)
        for last, number in pairwise(tried[4:]):
            assert number - last == pytest.approx(max((last * (slower - 1.0)) ** 0.5, 0.1 * last), abs=1.01)

    @pytest.mark.parametrize(("slower", "most"), [(3.0, 50), (10.0, 30), (40.0, 15)])
    def test_the_slower_it_is_the_fewer_are_tried(self, slower, most):
        assert len(self.trials(slower, 600)) <= most


class TestFirstAnswers:
    """Two answers: 80 ms at size 4, 100 ms at size 8."""

    @staticmethod
    def doubt() -> FirstAnswers:
        return FirstAnswers(((4.0, 80.0), (8.0, 100.0)), NOTICED_S)

    def test_it_predicts_nothing(self):
        assert self.doubt().predict(4.0) == 0.0

    @pytest.mark.parametrize(("size", "service_ms"), [(4.0, 33.0), (32.0, 53.0), (1.0, 8.0)])
    def test_an_answer_far_below_all_of_them_shows_that_they_were_cold(self, size, service_ms):
        """33.3 ms at size 4, 53.3 ms at larger ones and 8.3 ms at size 1 are 1.5 times faster."""
        assert self.doubt().is_back(size, service_ms, NOTICED_S)

    @pytest.mark.parametrize(("size", "service_ms"), [(4.0, 34.0), (32.0, 54.0), (1.0, 9.0)])
    def test_an_answer_that_a_smaller_size_explains_does_not(self, size, service_ms):
        assert not self.doubt().is_back(size, service_ms, NOTICED_S)

    def test_it_is_over_after_six_answers(self):
        doubt, over = self.doubt(), []
        for _ in range(4):
            over.append(doubt.is_over)
            doubt.is_back(4.0, 80.0, doubt.retry_s)
        assert (over, doubt.is_over) == ([False] * 4, True)

    def test_it_is_over_after_five_seconds(self):
        doubt = self.doubt()
        doubt.is_back(4.0, 4800.0, doubt.retry_s)
        assert not doubt.is_over
        doubt.is_back(4.0, 100.0, doubt.retry_s)
        assert doubt.is_over

    def test_trials_back_off(self):
        doubt, pauses_s = self.doubt(), []
        for _ in range(4):
            before_s = doubt.retry_s
            assert not doubt.is_due(before_s - 0.001)
            assert doubt.is_due(before_s)
            doubt.is_back(4.0, 80.0, before_s)
            pauses_s.append(doubt.retry_s - before_s)
        assert pauses_s == pytest.approx([0.5, 1.0, 1.0, 1.0])
