import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_backend.core.learning.resource_model import ResourceModel

SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


def law_mb(size: float) -> float:
    return 50.0 + 10.0 * size


def constant_w(_: float) -> float:
    return 40.0


def taught(observations: int, prior: float = 0.0) -> ResourceModel:
    model = ResourceModel(prior)
    for number in range(observations):
        size = 1 + number % 8
        model.update(size, law_mb(size))
    return model


def noisy(observations: int, seed: int, sigma: float = 0.05) -> Iterator[tuple[float, float]]:
    """Return sizes, each with the factor of its noise."""
    rng = random.Random(seed)
    for _ in range(observations):
        yield rng.choice(SIZES), rng.lognormvariate(0.0, sigma)


def test_predicts_zero_without_prior_and_measurements():
    assert ResourceModel().predict(4.0) == 0.0


def test_predicts_the_prior_before_the_first_measurement():
    assert taught(0, prior=700.0).predict(4.0) == 700.0
    assert taught(40, prior=700.0).predict(4.0) == pytest.approx(90.0, rel=0.02)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.0])
def test_an_implausible_value_is_rejected_and_counted(value):
    model = taught(40)
    before = model.predict(4.0)
    for count in (1, 2):
        model.update(4.0, value)
        assert model.predict(4.0) == before
        assert model.rejected == count


@pytest.mark.parametrize(("size", "value"), [(1e-9, 4.0), (1e12, 4.0), (4.0, 1e-9), (4.0, 1e12)])
def test_the_smallest_and_the_largest_valid_values_are_learned(size, value):
    model = ResourceModel()
    model.update(size, value)
    assert (model.rejected, model.predict(size)) == (0, pytest.approx(value))


@pytest.mark.parametrize("readings", [1, 51, 1000])
def test_readings_of_one_size_predict_the_same_at_every_size(readings):
    model = ResourceModel()
    for _ in range(readings):
        model.update(1.0, 40.0)
    assert [model.predict(size) for size in SIZES] == pytest.approx([40.0] * len(SIZES))


@pytest.mark.parametrize("small", [1.0, 5.0])
@pytest.mark.parametrize("per_item", [1.0, 10.0, 1000.0])
def test_a_few_readings_of_a_second_size_show_that_the_use_grows(small, per_item):
    model = ResourceModel()
    for _ in range(51):
        model.update(small, 50.0 + per_item * small)
    for _ in range(4):
        model.update(32.0, 50.0 + per_item * 32.0)
    assert model.predict(32.0) == pytest.approx(50.0 + per_item * 32.0, rel=0.06)
    assert model.predict(small) == pytest.approx(50.0 + per_item * small, rel=0.05)


def test_two_sizes_in_turn_are_learned_although_their_use_differs_as_much_as_they():
    model = ResourceModel()
    for _ in range(20):
        model.update(1.0, 10.0)
        model.update(32.0, 320.0)
    assert model.predict(1.0) == pytest.approx(10.0, rel=0.05)
    assert model.predict(32.0) == pytest.approx(320.0, rel=0.05)


def test_the_use_of_sizes_that_never_repeat_is_learned():
    model = ResourceModel()
    for _ in range(51):
        model.update(1.0, 60.0)
    for size in (33.0, 90.0, 57.0, 200.0, 130.0, 512.0, 350.0):
        model.update(size, law_mb(size))
    assert model.predict(256.0) == pytest.approx(law_mb(256.0), rel=0.1)


def test_two_far_readings_of_different_sizes_are_alike_if_both_grow_like_their_size():
    model = ResourceModel()
    for _ in range(51):
        model.update(1.0, 60.0)
    model.update(33.0, 33.0 * 60.0)
    assert (model.predict(33.0), model.rejected) == (pytest.approx(60.0), 1)
    model.update(512.0, 512.0 * 60.0)
    assert model.predict(512.0) > 200.0 * 60.0
    assert model.rejected == 1


def test_a_wrong_reading_is_held_counted_and_not_learned():
    model = ResourceModel()
    for _ in range(51):
        model.update(1.0, 40.0)
    model.update(1.0, 1e9)
    assert (model.predict(1.0), model.rejected) == (pytest.approx(40.0), 1)


def test_a_first_reading_far_from_the_prior_is_held_until_a_second_one_is_like_it():
    model = ResourceModel(prior=8.0)
    model.update(1.0, 8000.0)
    assert (model.predict(1.0), model.known, model.rejected) == (8.0, False, 1)
    model.update(1.0, 0.4)
    assert (model.predict(1.0), model.known, model.rejected) == (8.0, False, 2)
    model.update(1.0, 0.5)
    assert (model.predict(1.0), model.known, model.rejected) == (pytest.approx(0.5), True, 2)


def test_a_first_reading_near_the_prior_is_learned():
    model = ResourceModel(prior=8.0)
    model.update(1.0, 8000.0)
    model.update(1.0, 2.0)
    assert (model.predict(1.0), model.known, model.rejected) == (pytest.approx(2.0), True, 1)


def test_a_first_reading_that_is_wrong_is_gone_after_a_few_good_ones():
    model = ResourceModel()
    model.update(1.0, 1e9)
    for _ in range(5):
        model.update(1.0, 40.0)
    assert model.predict(1.0) == pytest.approx(40.0)
    for _ in range(1000):
        model.update(1.0, 40.0)
    assert model.predict(1.0) == pytest.approx(40.0)


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0, 7.0, 30.0, 1e-6, 1e6])
def test_a_lasting_change_of_level_is_learned_at_every_size_after_six_readings(factor):
    """The change detector needs three; a change by a factor above 8 takes five."""
    model = ResourceModel()
    for size, noise in noisy(400, seed=0):
        model.update(size, law_mb(size) * noise)
    for size, noise in noisy(6, seed=1):
        model.update(size, factor * law_mb(size) * noise)
    for size in SIZES:
        assert model.predict(size) == pytest.approx(factor * law_mb(size), rel=0.15)


@pytest.mark.parametrize("factor", [30.0, 1e-6, 1e6])
def test_a_far_level_is_believed_from_the_fifth_reading(factor):
    model = ResourceModel()
    for _ in range(400):
        model.update(1.0, 40.0)
    for _ in range(4):
        model.update(1.0, factor * 40.0)
        assert model.predict(1.0) == pytest.approx(40.0)
    model.update(1.0, factor * 40.0)
    assert model.predict(1.0) == pytest.approx(factor * 40.0)


def test_readings_that_alternate_between_two_levels_raise_no_alarm():
    model = ResourceModel()
    for number in range(400):
        model.update(1.0, (30.0, 60.0)[number % 2])
    assert model.predict(1.0) == pytest.approx(45.0, rel=0.01), "both count the same"
    assert model.rejected == 0


ANYTHING = st.floats(allow_nan=True, allow_infinity=True)


@given(readings=st.lists(st.tuples(ANYTHING, ANYTHING), max_size=60))
def test_predictions_stay_finite_and_above_0_for_any_readings(readings):
    model = ResourceModel(prior=1.0)
    for size, value in readings:
        model.update(size, value)
        for asked in (1e-3, 1.0, 1e6):
            assert 0.0 < model.predict(asked) < math.inf


@pytest.mark.parametrize("other", [1.0, 32.0])
def test_readings_of_another_size_do_not_confirm_or_refute_a_first_far_one(other):
    """The first far reading at size 32 is wrong; the second one alike shows that it was right."""
    model = ResourceModel()
    for _ in range(51):
        model.update(1.0, 10.0)
    model.update(32.0, 320.0)
    assert (model.predict(32.0), model.rejected) == (pytest.approx(10.0), 1)
    model.update(other, 10.0 if other == 1.0 else 320.0)
    model.update(32.0, 320.0)
    assert model.predict(32.0) > 150.0
    assert model.rejected == 1


def test_wrong_readings_of_different_factors_in_a_row_confirm_nothing():
    model = taught(40)
    for number in range(300):
        model.update(4.0, 90.0 * (1e3, 1e6, 1e-3)[number % 3])
    assert model.predict(4.0) == pytest.approx(90.0, rel=0.02)
    assert model.rejected == 300


def test_the_use_of_a_size_is_remembered_while_only_others_are_measured():
    model = ResourceModel()
    for size in (1.0, 32.0) * 50:
        model.update(size, law_mb(size))
    for _ in range(20_000):
        model.update(1.0, law_mb(1.0))
    assert model.predict(32.0) == pytest.approx(law_mb(32.0), rel=0.01)


WRONG = st.one_of(
    st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1e9, 1e-8]),
    st.sampled_from([1e-6, 1e-3, 1 / 1024, 1000.0, 1024.0, 1e6]).map(lambda factor: ("unit", factor)),
)


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32),
    wrong=st.lists(st.tuples(st.integers(0, 299), WRONG), max_size=40),
    grows=st.booleans(),
)
def test_wrong_readings_anywhere_are_gone_after_fifty_good_ones(seed, wrong, grows):
    """Any number of them, in any order, alike or not, before anything else was learned or after."""
    use = law_mb if grows else constant_w
    model = ResourceModel()
    at = dict(wrong)
    for number, (size, noise) in enumerate(noisy(300, seed)):
        bad = at.get(number)
        if bad is not None:
            value = use(size) * bad[1] if isinstance(bad, tuple) else bad
            model.update(size, value)
        model.update(size, use(size) * noise)
    for size, noise in noisy(50, seed + 1):
        model.update(size, use(size) * noise)
    for size in SIZES:
        assert model.predict(size) == pytest.approx(use(size), rel=0.1)


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), run=st.integers(1, 60), at=st.integers(0, 100), factor=WRONG)
def test_a_run_of_wrong_readings_is_gone_after_fifty_good_ones(seed, run, at, factor):
    """One value at all sizes hides how the use grows, which is learned again meanwhile."""
    model, tolerance = ResourceModel(), 0.15 if isinstance(factor, tuple) else 0.45
    for size, noise in noisy(at, seed):
        model.update(size, law_mb(size) * noise)
    for size, _ in noisy(run, seed + 1):
        model.update(size, law_mb(size) * factor[1] if isinstance(factor, tuple) else factor)
    for size, noise in noisy(50, seed + 2):
        model.update(size, law_mb(size) * noise)
    for size in SIZES:
        assert model.predict(size) == pytest.approx(law_mb(size), rel=tolerance)


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), share=st.floats(0.01, 0.1), factor=st.sampled_from([1e-3, 1000.0, 1e6]))
def test_while_a_tenth_is_wrong_predictions_stay_right(seed, share, factor):
    """Five wrong ones alike in a row are taken for a change, until five right ones are."""
    rng = random.Random(seed)
    model = ResourceModel()
    wrong_predictions = 0
    for number, (size, noise) in enumerate(noisy(1000, seed)):
        wrong = number >= 10 and rng.random() < share
        model.update(size, law_mb(size) * noise * (factor if wrong else 1.0))
        off = max(abs(math.log(model.predict(each) / law_mb(each))) for each in SIZES)
        wrong_predictions += number >= 10 and off > 0.3
    assert wrong_predictions <= 20
