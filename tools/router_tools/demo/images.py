"""Random images, normalized as the networks expect them (mean 0, deviation 1)."""

import numpy as np
import numpy.typing as npt

IMAGE_SIDE = 224
# A network gives nearly the same output for any image of plain noise. Tiles of one color differ from image to
# image, and the mix of sizes covers what clients may send, from flat areas to noise.
_TILE_SIDES = (56, 28, 8, 1)


def random_images(count: int, seed: int) -> npt.NDArray[np.float32]:
    """Return images of colored tiles of a few sizes in turn.

    Args:
        count: how many.
        seed: the same seed gives the same images.

    Returns:
        float32 array of shape [count, 3, 224, 224].
    """
    rng = np.random.default_rng(seed)
    return np.stack([_tiled(rng, _TILE_SIDES[index % len(_TILE_SIDES)]) for index in range(count)])


def _tiled(rng: np.random.Generator, tile_side: int) -> npt.NDArray[np.float32]:
    tiles = IMAGE_SIDE // tile_side
    colors = rng.standard_normal((3, tiles, tiles), dtype=np.float32)
    return colors.repeat(tile_side, axis=1).repeat(tile_side, axis=2)
