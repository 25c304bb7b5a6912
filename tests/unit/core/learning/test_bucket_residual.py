import pytest

from router_backend.core.learning.bucket_residual import BucketResidual


def test_an_unseen_size_has_the_factor_one():
    assert BucketResidual().get(8) == 1.0


def test_two_pseudo_observations_shrink_the_first_real_ones():
    residual = BucketResidual()
    residual.update(16, 8.5)
    assert residual.get(16) == pytest.approx((8.5 + 2) / (1 + 2))
    residual.update(16, 8.5)
    kept = 63 / 64
    assert residual.get(16) == pytest.approx((8.5 * kept + 8.5 + 2) / (kept + 1 + 2))


def test_sizes_of_one_power_of_two_share_a_factor_and_others_do_not():
    residual = BucketResidual()
    for _ in range(30):
        residual.update(16, 2.0)
    assert residual.get(31.9) == residual.get(16) > 1.9
    assert residual.get(15.9) == residual.get(32) == 1.0


def test_sizes_below_one_have_buckets_too():
    residual = BucketResidual()
    residual.update(0.3, 2.0)
    assert residual.get(0.25) == pytest.approx(4 / 3)
    assert residual.get(0.5) == 1.0


def test_follows_a_cliff_that_moved():
    residual = BucketResidual()
    for ratio in [4.0] * 100 + [1.0] * 300:
        residual.update(16, ratio)
    assert residual.get(16) == pytest.approx(1.0, abs=0.05)


def test_reset_sets_every_factor_back_to_one():
    residual = BucketResidual()
    residual.update(16, 2.0)
    residual.update(1, 0.5)
    residual.reset()
    assert residual.get(16) == residual.get(1) == 1.0
    residual.update(16, 2.0)
    assert residual.get(16) == pytest.approx(4 / 3)
