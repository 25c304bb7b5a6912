"""Chance, as streams that depend on the seed and their own name alone."""

import random
import zlib

import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """The generator of one kind of random numbers in the run of a seed.

    Each kind has its own: whatever else is drawn, and however often, the numbers of a kind stay the same.
    That is what makes policies comparable on the same requests (common random numbers).
    """
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def router_rng(seed: int) -> random.Random:
    """The generator that the router is given."""
    return random.Random(seed)
