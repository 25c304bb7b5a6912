"""Random streams that depend only on the seed and their name."""

import random
import zlib

import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of one kind of random numbers in the run of a seed.

    The numbers of each kind are independent of what else is drawn, so all policies are compared on the same
    requests (common random numbers).
    """
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def router_rng(seed: int) -> random.Random:
    """Return the router's random generator."""
    return random.Random(seed)
