import numpy as np

from router_tools.demo.images import random_images


def test_images_are_normalized() -> None:
    images = random_images(16, seed=1)
    assert images.shape == (16, 3, 224, 224)
    assert images.dtype == np.float32
    assert abs(images.mean()) < 0.1
    assert abs(images.std() - 1) < 0.1


def test_the_same_seed_gives_the_same_images() -> None:
    np.testing.assert_array_equal(random_images(4, seed=1), random_images(4, seed=1))


def test_no_two_images_are_alike() -> None:
    images = random_images(8, seed=1)
    assert len({image.tobytes() for image in images}) == 8
