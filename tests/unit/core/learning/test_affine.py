import random

import pytest

from router_backend.core.learning.affine import AffineLaw

SIZES = (1, 2, 4, 8, 16, 32)
SUMS = ("n", "w", "wx", "wxx", "wy", "wxy", "wyy")


def t4_resnet50_ms(x: float) -> float:
    return 2.3 + 0.82 * x


def law_of(observations: list[tuple[float, float]]) -> AffineLaw:
    law = AffineLaw()
    for x, y in observations:
        law.update(x, y)
    return law


def test_predicts_zero_before_the_first_observation():
    assert AffineLaw().predict(8) == 0.0
    assert AffineLaw().relative_variance() == 0.0


def test_recovers_an_exact_law_at_sizes_it_never_saw():
    law = law_of([(x, t4_resnet50_ms(x)) for x in SIZES * 10])
    for x in (3, 12, 24, 64):
        assert law.predict(x) == pytest.approx(t4_resnet50_ms(x), rel=0.01)


def test_recovers_a_law_under_five_percent_of_noise():
    rng = random.Random(0)
    law = law_of([(x, t4_resnet50_ms(x) * rng.gauss(1.0, 0.05)) for x in SIZES * 30])
    for x in SIZES:
        assert law.predict(x) == pytest.approx(t4_resnet50_ms(x), rel=0.03)


@pytest.mark.parametrize("observations", [1, 2, 50])
def test_a_single_size_gives_a_law_of_half_intercept_and_half_slope(observations):
    law = law_of([(4, 10.0)] * observations)
    assert law.a == pytest.approx(5.0)
    assert law.c == pytest.approx(5.0 / 4)
    assert law.predict(4) == pytest.approx(10.0)
    assert law.predict(8) == pytest.approx(15.0)


def test_two_observations_are_shrunk_to_the_prior_by_half_an_observation():
    law = AffineLaw()
    law.update(1, 2.0)  # the law is 1 + x now, and weighs the next one with 1/4²
    law.update(3, 8.0)
    decay, w2 = 255 / 256, 1 / 16
    w1 = decay / 4
    w, wx, wy = w1 + w2, w1 + 3 * w2, 2 * w1 + 8 * w2
    wxx, wxy = w1 + 9 * w2, 2 * w1 + 24 * w2
    prior = 0.5 * w / (decay + 1)
    mean_x, mean_y = wx / w, wy / w
    # The normal equations of Σ w (y - a - cx)² + prior · ((a - ȳ/2)² + x̄² (c - ȳ/2x̄)²).
    m11, m12, m22 = w + prior, wx, wxx + prior * mean_x**2
    r1, r2 = wy + prior * mean_y / 2, wxy + prior * mean_x * mean_y / 2
    determinant = m11 * m22 - m12**2
    assert law.a == pytest.approx((r1 * m22 - r2 * m12) / determinant)
    assert law.c == pytest.approx((m11 * r2 - m12 * r1) / determinant)


def test_the_intercept_is_never_negative():
    law = law_of([(x, 0.1 * x * x) for x in SIZES * 10])
    assert law.a == 0.0
    assert law.c > 0.0


def test_the_slope_is_never_negative():
    law = law_of([(x, 100.0 / x) for x in SIZES * 10])
    assert law.c == 0.0
    assert law.a > 0.0


def test_relative_weights_keep_large_batches_from_distorting_small_ones():
    """With equal weights, the one slow large batch would move the intercept to -1.9."""
    law = law_of([(1, 2.0), (2, 3.0), (4, 5.0), (8, 9.0), (64, 97.0)] * 20)
    assert law.predict(1) == pytest.approx(2.0, rel=0.3)
    assert law.a > 0.0


def test_follows_a_changed_law_because_old_observations_decay():
    law = law_of([(x, t4_resnet50_ms(x)) for x in SIZES * 40])
    for x in SIZES * 300:
        law.update(x, 2 * t4_resnet50_ms(x))
    assert law.predict(8) == pytest.approx(2 * t4_resnet50_ms(8), rel=0.02)


def test_sums_of_two_laws_can_be_added():
    """Each process saw a single size, which determines no slope; their sum determines it."""
    one = law_of([(1, t4_resnet50_ms(1))] * 20)
    other = law_of([(32, t4_resnet50_ms(32))] * 20)
    merged = AffineLaw()
    for name in SUMS:
        setattr(merged, name, getattr(one, name) + getattr(other, name))
    merged.update(8, t4_resnet50_ms(8))
    for x in (1, 8, 24, 32):
        assert merged.predict(x) == pytest.approx(t4_resnet50_ms(x), rel=0.02)
    assert one.predict(32) > 1.7 * t4_resnet50_ms(32)


def test_the_relative_variance_is_that_of_the_noise():
    rng = random.Random(1)
    noisy = law_of([(x, t4_resnet50_ms(x) * rng.gauss(1.0, 0.1)) for x in SIZES * 40])
    exact = law_of([(x, t4_resnet50_ms(x)) for x in SIZES * 40])
    assert noisy.relative_variance() == pytest.approx(0.01, rel=0.25)
    assert exact.relative_variance() < 1e-4


def test_forgetting_keeps_the_law_until_the_next_observation():
    law = law_of([(x, t4_resnet50_ms(x)) for x in SIZES * 40])
    before = law.predict(8)
    law.forget(0.02)
    assert law.predict(8) == before
    for x in SIZES:
        law.update(x, 2.5 * t4_resnet50_ms(x))
    assert law.predict(8) == pytest.approx(2.5 * t4_resnet50_ms(8), rel=0.45)
    untouched = law_of([(x, t4_resnet50_ms(x)) for x in SIZES * 40])
    for x in SIZES:
        untouched.update(x, 2.5 * t4_resnet50_ms(x))
    assert untouched.predict(8) < 1.2 * t4_resnet50_ms(8)


def test_forgetting_changes_neither_the_law_nor_its_variance():
    rng = random.Random(1)
    law = law_of([(x, t4_resnet50_ms(x) * rng.gauss(1.0, 0.1)) for x in SIZES * 40])
    before = law.relative_variance()
    law.forget(0.02)
    assert law.relative_variance() == pytest.approx(before) != 0.0


def test_after_forgetting_the_next_observations_have_more_weight():
    """20 observations with a tenth of their weight count as much as 2."""
    forgetful, short = law_of([(4, 10.0)] * 20), law_of([(4, 10.0)] * 20)
    forgetful.forget(0.1)
    for name in SUMS:
        setattr(short, name, 0.1 * getattr(short, name))
    for law in (forgetful, short):
        law.update(8, 40.0)
    assert [forgetful.predict(x) for x in SIZES] == pytest.approx([short.predict(x) for x in SIZES])


def learned(sizes: tuple[float, ...], factor: float = 1.0, slope_share: float = 0.5) -> AffineLaw:
    law = AffineLaw(slope_share)
    for x in sizes:
        law.update(x, factor * (2.3 + 0.82 * x))
    return law


@pytest.mark.parametrize(("slope_share", "at_32"), [(0.0, 10.0), (0.5, 165.0), (1.0, 320.0)])
def test_what_one_size_says_about_others_is_the_share_of_the_slope(slope_share, at_32):
    law = AffineLaw(slope_share)
    for _ in range(50):
        law.update(1.0, 10.0)
    assert law.predict(32.0) == pytest.approx(at_32)


def test_a_slope_that_is_kept_outlives_the_observations_that_showed_it():
    kept, lost = learned((1.0, 32.0) * 50), learned((1.0, 32.0) * 50)
    for _ in range(20_000):
        kept.keep_slope()
        kept.update(1.0, 3.12)
        lost.update(1.0, 3.12)
    assert kept.predict(32.0) == pytest.approx(2.3 + 0.82 * 32.0, rel=0.01)
    assert abs(lost.predict(32.0) / (2.3 + 0.82 * 32.0) - 1.0) > 0.5


@pytest.mark.parametrize("factor", [1e-6, 0.5, 3.0, 1e6])
def test_a_law_that_is_rescaled_is_that_of_observations_that_are_as_many_times_as_large(factor):
    rescaled, other = learned((1.0, 8.0, 32.0) * 9), learned((1.0, 8.0, 32.0) * 9, factor)
    rescaled.rescale(factor)
    for law in (rescaled, other):
        law.update(4.0, 7.0 * factor)
    assert (rescaled.a, rescaled.c) == (pytest.approx(other.a), pytest.approx(other.c))
    assert rescaled.relative_variance() == pytest.approx(other.relative_variance())


def test_leverage_is_the_share_of_one_observation_near_others_and_above_1_far_from_all():
    law = learned((4.0, 5.0) * 50)
    assert law.leverage(4.5) == pytest.approx(1.0 / law.n, rel=0.1)
    assert law.leverage(40.0) > 1.0
    assert law.leverage(40.0) > learned((4.0, 40.0) * 50).leverage(40.0)


def test_an_error_may_be_relative_to_what_is_usual_instead_of_the_prediction():
    plain, bounded = learned((1.0,) * 10), learned((1.0,) * 10)
    plain.update(1.0, 312.0)
    bounded.update(1.0, 312.0, usual=312.0)
    assert plain.predict(1.0) > 8.0 * bounded.predict(1.0)
